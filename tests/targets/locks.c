/* Locks on files: of the process (shared, exclusive, on ranges), of open files (flock and F_OFD_SETLK), and a lease. */
#include "target.h"
#include <sys/file.h>
#include <sys/wait.h>

static int file, whole, ranges, leased;
static char path[4][3 * PATH_MAX];

static int open_new(int index, int flags)
{
    snprintf(path[index], sizeof(path[index]), "%s", target_file((const char *[]){"posix", "flock", "ofd", "lease"}[index]));
    int fd = open(path[index], O_CREAT | flags, 0600);
    TARGET_CHECK(fd >= 0);
    return fd;
}

static void lock(int fd, int command, short type, off_t start, off_t length)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    TARGET_EQUAL(0, fcntl(fd, command, &range));
}

/* What another process is told that asks for an exclusive lock. */
static void expect(off_t start, off_t length, short type, pid_t holder)
{
    pid_t pid = fork();
    TARGET_CHECK(pid >= 0);
    if (pid == 0)
    {
        struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
        TARGET_EQUAL(0, fcntl(file, F_GETLK, &range));
        TARGET_EQUAL(type, range.l_type);
        if (type != F_UNLCK)
        {
            TARGET_EQUAL(holder, range.l_pid);
        }

        _exit(0);
    }

    int status;
    TARGET_EQUAL(pid, waitpid(pid, &status, 0));
    TARGET_EQUAL(0, status);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    file = open_new(0, O_RDWR);
    lock(file, F_SETLK, F_WRLCK, 0, 10);
    lock(file, F_SETLK, F_RDLCK, 100, 50);
    lock(file, F_SETLK, F_WRLCK, 1000, 0);
    whole = open_new(1, O_RDONLY);
    TARGET_EQUAL(0, flock(whole, LOCK_EX));
    int other = dup(whole);
    TARGET_CHECK(other > whole);
    ranges = open_new(2, O_RDWR);
    lock(ranges, F_OFD_SETLK, F_WRLCK, 5, 5);
    leased = open_new(3, O_RDONLY);
    TARGET_EQUAL(0, fcntl(leased, F_SETLEASE, F_RDLCK));
    target_ready();
    while (target_running(100))
    {
    }

    expect(0, 10, F_WRLCK, getpid());
    expect(10, 90, F_UNLCK, 0);
    expect(100, 1, F_RDLCK, getpid());
    expect(1000000, 1, F_WRLCK, getpid());
    int second = open(path[1], O_RDONLY);
    TARGET_EQUAL(-1, flock(second, LOCK_SH | LOCK_NB));
    TARGET_EQUAL(EWOULDBLOCK, errno);
    int third = open(path[2], O_RDWR);
    struct flock range = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 6, .l_len = 1};
    TARGET_EQUAL(-1, fcntl(third, F_OFD_SETLK, &range));
    TARGET_EQUAL(F_RDLCK, fcntl(leased, F_GETLEASE));
    return target_end();
}
