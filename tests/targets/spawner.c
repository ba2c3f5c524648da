/*
 * Kernel object: a parent that waits in vfork, nearly all the time: it can be stopped only when its child has begun another program.
 */
#include "target.h"
#include <sys/wait.h>

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    bool is_ready = false;
    while (target_running(0))
    {
        pid_t child = vfork();
        if (child == 0)
        {
            usleep(100000);
            execl("/bin/sh", "sh", "-c", "exit 7", NULL);
            _exit(1);
        }

        int status;
        TARGET_CHECK(child > 0);
        TARGET_EQUAL(child, waitpid(child, &status, 0));
        TARGET_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        if (!is_ready)
        {
            is_ready = true;
            target_ready();
        }
    }

    return target_end();
}
