/*
 * Kernel object: a large table of descriptors with files that nobody else has: eventfds, timers, files at positions, pipes of several sizes whose ends
 * have their own flags, gaps in between, and files that two numbers share.
 */
#include "target.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

enum { kinds = 5, each = 700, page = 4096 };

static int events[each], timers[each], positions[each], shared[each], pipes[each][2];

static void make(const char *path, int i)
{
    struct itimerspec later = {.it_value = {.tv_sec = 100000 + i}, .it_interval = {.tv_sec = i}};
    events[i] = eventfd((unsigned)i, EFD_NONBLOCK | (i % 2 ? EFD_CLOEXEC : 0));
    timers[i] = timerfd_create(CLOCK_MONOTONIC, i % 3 ? TFD_CLOEXEC : TFD_NONBLOCK);
    positions[i] = open(path, (i % 2 ? O_RDWR : O_RDONLY) | (i % 5 ? 0 : O_CLOEXEC));
    TARGET_CHECK(events[i] >= 0 && timers[i] >= 0 && positions[i] >= 0 && pipe2(pipes[i], i % 4 ? O_NONBLOCK : O_CLOEXEC) == 0);
    TARGET_CHECK(timerfd_settime(timers[i], 0, &later, NULL) == 0);
    TARGET_EQUAL(3 * i, lseek(positions[i], 3 * i, SEEK_SET));
    if (i % 11 == 0)
    {
        TARGET_EQUAL(page << (i % 3), fcntl(pipes[i][1], F_SETPIPE_SZ, page << (i % 3)));
    }
    if (i % 13 == 0)
    {
        TARGET_CHECK(fcntl(pipes[i][1], F_SETFL, O_NONBLOCK) == 0);
    }
    shared[i] = i % 50 == 7 ? dup(events[i]) : -1;
    if (i % 40 == 9)
    {
        close(timers[i]);
        timers[i] = -1;
    }
}

static void check_flags(int i)
{
    TARGET_EQUAL(i % 2 ? FD_CLOEXEC : 0, fcntl(events[i], F_GETFD));
    TARGET_EQUAL(i % 5 ? 0 : FD_CLOEXEC, fcntl(positions[i], F_GETFD));
    TARGET_EQUAL(i % 2 ? O_RDWR : O_RDONLY, fcntl(positions[i], F_GETFL) & O_ACCMODE);
    for (int end = 0; end < 2; end++)
    {
        bool nonblocking = i % 4 || (end == 1 && i % 13 == 0);
        TARGET_EQUAL(i % 4 ? 0 : FD_CLOEXEC, fcntl(pipes[i][end], F_GETFD));
        TARGET_EQUAL((nonblocking ? O_NONBLOCK : 0) | (end ? O_WRONLY : O_RDONLY), fcntl(pipes[i][end], F_GETFL) & (O_NONBLOCK | O_ACCMODE));
    }
}

static void check(int i)
{
    uint64_t count = 0;
    char byte = 0;
    struct itimerspec left = {0};
    check_flags(i);
    TARGET_EQUAL(i ? 8 : -1, read(events[i], &count, 8));
    TARGET_EQUAL(i, count);
    TARGET_CHECK(i == 0 || write(shared[i] < 0 ? events[i] : shared[i], &count, 8) == 8);
    TARGET_EQUAL(3 * i, lseek(positions[i], 0, SEEK_CUR));
    TARGET_EQUAL(i % 11 ? 16 * page : page << (i % 3), fcntl(pipes[i][0], F_GETPIPE_SZ));
    TARGET_EQUAL(1, write(pipes[i][1], "y", 1));
    TARGET_EQUAL(1, read(pipes[i][0], &byte, 1));
    TARGET_EQUAL('y', byte);
    if (timers[i] >= 0)
    {
        TARGET_CHECK(timerfd_gettime(timers[i], &left) == 0);
        TARGET_EQUAL(i, left.it_interval.tv_sec);
        TARGET_CHECK(left.it_value.tv_sec > 90000 + i && left.it_value.tv_sec <= 100000 + i);
    }
}

int main(int count, char **arguments)
{
    struct rlimit limit;
    target_begin(count, arguments);
    TARGET_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    TARGET_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int most = limit.rlim_cur < (kinds + 2) * each ? (int)limit.rlim_cur / (kinds + 2) : each;
    const char *path = target_file("content");
    close(open(path, O_RDWR | O_CREAT, 0644));
    for (int i = 0; i < most; i++)
    {
        make(path, i);
    }
    target_ready();
    do
    {
        for (int i = 0; i < most; i++)
        {
            check(i);
        }
    } while (target_running(20));
    return target_end();
}
