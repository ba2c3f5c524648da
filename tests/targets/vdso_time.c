/*
 * Kernel object: the vDSO, code and clocks of the kernel in the process's own memory. Threads read every clock through it all the
 * time; what they read must agree with the system call, and the monotonic clock may never go back. SHIFT=SECONDS puts it into a
 * time namespace whose clocks are so much ahead; with FOR_CHILDREN=1 only its children would be born there.
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

static int64_t least;

static void shift_clocks(long seconds, bool for_children)
{
    char text[128];
    TARGET_CHECK(unshare(0x80 /* CLONE_NEWTIME */) == 0);
    int file = open("/proc/self/timens_offsets", O_WRONLY);
    int length = snprintf(text, sizeof(text), "monotonic %ld 0\nboottime %ld 0\n", seconds, seconds);
    TARGET_CHECK(file >= 0 && write(file, text, (size_t)length) == length && close(file) == 0);
    if (!for_children)
    {
        file = open("/proc/self/ns/time_for_children", O_RDONLY);
        TARGET_CHECK(file >= 0 && setns(file, 0x80) == 0 && close(file) == 0);
        least = seconds * 1000000000LL;
        TARGET_CHECK(target_now() > least);
    }
}

static _Atomic int readers;

static void *read_clocks(void *argument)
{
    int64_t last = least;
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
    if (getenv("SHIFT") != NULL)
    {
        shift_clocks(atol(getenv("SHIFT")), getenv("FOR_CHILDREN") != NULL);
    }

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
