/*
 * Kernel object: the vDSO, code and clocks of the kernel in the process's own memory. Threads read every clock through it all the
 * time; what they read must agree with the system call, and the monotonic clock may never go back.
 */
#include "target.h"

#include <sched.h>
#include <sys/auxv.h>
#include <sys/time.h>

static int64_t nanoseconds(const struct timespec *time)
{
    return time->tv_sec * 1000000000LL + time->tv_nsec;
}

/* Read between two system calls of the same clock: it lies between them. */
static void check_clock(clockid_t clock, int64_t slack)
{
    struct timespec before, now, after;
    TARGET_CHECK(syscall(SYS_clock_gettime, clock, &before) == 0);
    TARGET_CHECK(clock_gettime(clock, &now) == 0);
    TARGET_CHECK(syscall(SYS_clock_gettime, clock, &after) == 0);
    if (nanoseconds(&now) < nanoseconds(&before) - slack || nanoseconds(&now) > nanoseconds(&after) + slack)
    {
        target_fail("clock %d: %lld is not between %lld and %lld", (int)clock, (long long)nanoseconds(&now),
                    (long long)nanoseconds(&before), (long long)nanoseconds(&after));
    }
}

static _Atomic int readers;

static void *read_clocks(void *argument)
{
    int64_t last = 0;
    readers++;
    while (!target_stopped)
    {
        for (int i = 0; i < 1000; i++)
        {
            int64_t now = target_now();
            TARGET_CHECK(now >= last);
            last = now;
        }
        check_clock(CLOCK_MONOTONIC, 0);
        check_clock(CLOCK_BOOTTIME, 0);
        /* The wall clock may be set. */
        check_clock(CLOCK_REALTIME, 50000000);
        check_clock(CLOCK_TAI, 50000000);
        check_clock(CLOCK_MONOTONIC_COARSE, 20000000);
        struct timeval day;
        unsigned processor;
        TARGET_CHECK(gettimeofday(&day, NULL) == 0 && llabs(day.tv_sec - time(NULL)) <= 1);
        TARGET_CHECK(getcpu(&processor, NULL) == 0 && processor < 4096);
        usleep(500);
    }
    return argument;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    const unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
    TARGET_CHECK(vdso != 0 && memcmp((void *)vdso, "\177ELF", 4) == 0);
    pthread_t one = target_thread(read_clocks, NULL), two = target_thread(read_clocks, NULL);
    while (readers < 2)
    {
        usleep(1000);
    }
    target_ready();
    while (target_running(20))
    {
        TARGET_CHECK(getauxval(AT_SYSINFO_EHDR) == vdso && memcmp((void *)vdso, "\177ELF", 4) == 0);
    }
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    return target_end();
}
