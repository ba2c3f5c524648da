/*
 * Kernel object: the restart block of an interrupted wait with a timeout (task_struct.restart_block), which holds when it is over. Each
 * thread waits again and again in one kind of call that would be restarted with restart_syscall(2). None may fail with
 * EINTR, end early, or begin its time anew: what passes between dump and restore may come on top, no more.
 */
#include "target.h"

#include <linux/futex.h>
#include <poll.h>
#include <time.h>

enum { longest_pause_ms = 20000, late_ms = 5000 };

struct wait
{
    const char *name;
    int (*enter)(long milliseconds);   /* 0, or an errno */
    int wanted;
    long milliseconds;
};

static struct timespec span(long milliseconds)
{
    return (struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000};
}

static int sleep_plain(long milliseconds)
{
    struct timespec time = span(milliseconds);
    return syscall(SYS_nanosleep, &time, NULL) == 0 ? 0 : errno;
}

static int sleep_with_rest(long milliseconds)
{
    struct timespec time = span(milliseconds), rest;
    return syscall(SYS_nanosleep, &time, &rest) == 0 ? 0 : errno;
}

/* As the C library's sleep() does. */
static int sleep_with_rest_in_place(long milliseconds)
{
    struct timespec time = span(milliseconds);
    return syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &time, &time) == 0 ? 0 : errno;
}

static int sleep_monotonic(long milliseconds)
{
    struct timespec time = span(milliseconds);
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL) == 0 ? 0 : errno;
}

static int sleep_boottime(long milliseconds)
{
    struct timespec time = span(milliseconds);
    return syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &time, NULL) == 0 ? 0 : errno;
}

static int poll_nothing(long milliseconds)
{
    int result = poll(NULL, 0, milliseconds);
    return result < 0 ? errno : result;
}

static int poll_pipe(long milliseconds)
{
    static int ends[2] = {-1, -1};
    if (ends[0] < 0)
    {
        TARGET_EQUAL(0, pipe2(ends, O_CLOEXEC));
    }
    struct pollfd descriptor = {ends[0], POLLIN, -1};
    int result = poll(&descriptor, 1, milliseconds);
    TARGET_CHECK(result != 0 || descriptor.revents == 0);
    return result < 0 ? errno : result;
}

static int futex_relative(long milliseconds)
{
    static uint32_t word;
    struct timespec time = span(milliseconds);
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0) == 0 ? 0 : errno;
}

static int futex_shared(long milliseconds)
{
    static uint32_t word;
    struct timespec time = span(milliseconds);
    return syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, NULL, 0) == 0 ? 0 : errno;
}

static int futex_absolute(long milliseconds)
{
    static uint32_t word;
    struct timespec time, length = span(milliseconds);
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += length.tv_sec;
    time.tv_nsec += length.tv_nsec;
    if (time.tv_nsec >= 1000000000)
    {
        time.tv_nsec -= 1000000000;
        time.tv_sec++;
    }
    return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &time, NULL, FUTEX_BITSET_MATCH_ANY) == 0 ? 0 : errno;
}

static const struct wait waits[] =
{
    {"nanosleep", sleep_plain, 0, 700}, {"nanosleep with rest", sleep_with_rest, 0, 800}, {"sleep", sleep_with_rest_in_place, 0, 900},
    {"monotonic", sleep_monotonic, 0, 650}, {"boottime", sleep_boottime, 0, 750}, {"poll without descriptors", poll_nothing, 0, 850},
    {"poll", poll_pipe, 0, 950}, {"futex", futex_relative, ETIMEDOUT, 600}, {"shared futex", futex_shared, ETIMEDOUT, 720},
    {"absolute futex", futex_absolute, ETIMEDOUT, 810}, {"long nanosleep", sleep_plain, 0, 4000}, {"long poll", poll_nothing, 0, 4100},
    {"long futex", futex_relative, ETIMEDOUT, 4200}, {"long sleep", sleep_with_rest_in_place, 0, 4300},
};

static void *wait_again(void *argument)
{
    const struct wait *wait = argument;
    for (;;)
    {
        int64_t start = target_now();
        int result = wait->enter(wait->milliseconds);
        int64_t passed = (target_now() - start) / 1000000;
        if (result != wait->wanted)
        {
            target_fail("%s: result %d (%s) after %lld ms", wait->name, result, strerror(result), (long long)passed);
        }
        if (passed < wait->milliseconds || passed > wait->milliseconds + longest_pause_ms + late_ms)
        {
            target_fail("%s: %lld ms passed, wanted %ld", wait->name, (long long)passed, wait->milliseconds);
        }
    }
    return NULL;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    for (size_t i = 0; i < TARGET_COUNT(waits); i++)
    {
        target_thread(wait_again, (void *)&waits[i]);
    }
    target_ready();
    while (target_running(100))
    {
    }
    return target_end();
}
