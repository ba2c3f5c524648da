/*
 * Kernel object: signal_struct.rlim. Every limit below what it was, the soft one below the hard one, and one that is 0; a
 * process under tight limits of files, memory and address space must come back under them.
 */
#include "target.h"

#include <sys/resource.h>

enum { kinds = 16 };

static struct rlimit wanted[kinds];

static rlim_t lower(rlim_t limit, rlim_t at_most)
{
    return limit < at_most ? limit : at_most;
}

static void set(int kind, rlim_t soft, rlim_t hard)
{
    struct rlimit limit;
    TARGET_CHECK(getrlimit(kind, &limit) == 0);
    limit.rlim_max = lower(limit.rlim_max, hard);
    limit.rlim_cur = lower(limit.rlim_max, soft);
    TARGET_CHECK(setrlimit(kind, &limit) == 0);
}

static void check(void)
{
    for (int kind = 0; kind < kinds; kind++)
    {
        struct rlimit limit;
        TARGET_CHECK(getrlimit(kind, &limit) == 0);
        TARGET_EQUAL(wanted[kind].rlim_cur, limit.rlim_cur);
        TARGET_EQUAL(wanted[kind].rlim_max, limit.rlim_max);
    }
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    set(RLIMIT_CPU, 100000, 200000);
    set(RLIMIT_FSIZE, 1 << 20, 2 << 20);
    set(RLIMIT_DATA, 64 << 20, 65 << 20);
    set(RLIMIT_STACK, 4 << 20, 6 << 20);
    set(RLIMIT_CORE, 0, 4096);
    set(RLIMIT_RSS, 1UL << 40, 1UL << 41);
    set(RLIMIT_NPROC, 2000, 3000);
    set(RLIMIT_NOFILE, 32, 64);
    set(RLIMIT_MEMLOCK, 4096, 8192);
    set(RLIMIT_AS, 256 << 20, 512 << 20);
    set(RLIMIT_LOCKS, 10, 20);
    set(RLIMIT_SIGPENDING, 30, 40);
    set(RLIMIT_MSGQUEUE, 50, 60);
    set(RLIMIT_NICE, 0, 0);
    set(RLIMIT_RTPRIO, 0, 0);
    set(RLIMIT_RTTIME, 1000000, 2000000);
    for (int kind = 0; kind < kinds; kind++)
    {
        TARGET_CHECK(getrlimit(kind, &wanted[kind]) == 0);
    }
    target_ready();
    while (target_running(50))
    {
        check();
    }

    check();
    /* It works, not only shows. */
    int last = -1;
    for (int fd; (fd = dup(0)) >= 0;)
    {
        last = fd;
    }
    TARGET_EQUAL(EMFILE, errno);
    TARGET_EQUAL(31, last);
    return target_end();
}
