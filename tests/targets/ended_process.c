/*
 * Kernel object: files of /proc about a process that has ended since they were opened. They lead nowhere, and say so.
 */
#include "target.h"

#include <sys/wait.h>

static int status;
static char directory[PATH_MAX], file[PATH_MAX];

static void link_of(const char *path, char *link)
{
    ssize_t length = readlink(path, link, PATH_MAX - 1);
    TARGET_CHECK(length > 0);
    link[length] = 0;
}

static void check(void)
{
    char text[PATH_MAX], link[32];
    TARGET_CHECK(getcwd(text, sizeof(text)) == NULL && errno == ENOENT);
    TARGET_CHECK(pread(status, text, sizeof(text), 0) == -1 && errno == ESRCH);
    link_of("/proc/self/cwd", text);
    TARGET_CHECK(strcmp(text, directory) == 0);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", status);
    link_of(link, text);
    TARGET_CHECK(strcmp(text, file) == 0);
}

int main(int count, char **arguments)
{
    char path[64];

    target_begin(count, arguments);
    pid_t child = fork();
    TARGET_CHECK(child >= 0);
    if (child == 0)
    {
        pause();
        _exit(0);
    }

    snprintf(path, sizeof(path), "/proc/%d", child);
    TARGET_EQUAL(0, chdir(path));
    status = open("status", O_RDONLY);
    TARGET_CHECK(status >= 0);
    TARGET_EQUAL(0, kill(child, SIGKILL));
    TARGET_EQUAL(child, waitpid(child, NULL, 0));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", status);
    link_of("/proc/self/cwd", directory);
    link_of(path, file);
    check();

    target_ready();
    while (target_running(50))
    {
        check();
    }

    check();
    return target_end();
}
