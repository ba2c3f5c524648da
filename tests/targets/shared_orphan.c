/*
 * A process in a session of its own, whose leader is dead, that shares descriptors with its parent: it was born by a process between
 * them which shared them too. A session is inherited at birth, and so is the table: nobody can bear it again.
 */
#include "target.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static pid_t share(void)
{
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0L, 0L, 0L, 0L);
    TARGET_CHECK(child >= 0);
    return child;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    TARGET_EQUAL(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
    pid_t between = share();
    if (between == 0)
    {
        TARGET_EQUAL(getpid(), setsid());
        if (share() == 0)
        {
            for (;;)
            {
                pause();
            }
        }

        _exit(0);
    }

    TARGET_EQUAL(between, waitpid(between, NULL, 0));
    target_ready();
    while (target_running(50))
    {
    }

    char path[64], text[32] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    int fd = open(path, O_RDONLY);
    TARGET_CHECK(read(fd, text, sizeof(text) - 1) > 0);
    pid_t orphan = (pid_t)atoi(text);
    TARGET_EQUAL(between, getsid(orphan));
    TARGET_EQUAL(0, kill(orphan, SIGKILL));
    return target_end();
}
