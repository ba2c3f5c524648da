/*
 * Kernel object: settings of tasks and processes that no image of CRIU knows. Timer slack, processors, I/O priority, scheduling
 * attributes, memory policy and processor mitigations of a thread; core-dump filter, locks on future memory, machine-check
 * policy, access to the time stamp counter and cpuid of a process or thread. Those that this kernel refuses are left as they are.
 */
#include "target.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_GET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

struct attributes
{
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least, most;
};

struct settings
{
    long slack, io_priority, speculation[3], machine_check, stamp, write_or_execute, flusher;
    cpu_set_t processors;
    struct attributes attributes;
    int memory_policy;
    unsigned long nodes[16];
};

static void look(struct settings *is)
{
    memset(is, 0, sizeof(*is));
    is->slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    is->io_priority = syscall(SYS_ioprio_get, 1, 0);
    for (int i = 0; i < 3; i++)
    {
        is->speculation[i] = prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0);
    }
    is->machine_check = prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);
    int stamp = 0;
    prctl(PR_GET_TSC, &stamp);
    is->stamp = stamp;
    is->write_or_execute = prctl(PR_GET_MDWE, 0, 0, 0, 0);
    is->flusher = prctl(58, 0, 0, 0, 0);
    TARGET_CHECK(sched_getaffinity(0, sizeof(is->processors), &is->processors) == 0);
    TARGET_CHECK(syscall(SYS_sched_getattr, 0, &is->attributes, sizeof(is->attributes), 0) == 0);
    if (syscall(SYS_get_mempolicy, &is->memory_policy, is->nodes, 1024, NULL, 0) != 0)
    {
        is->memory_policy = -1;
    }
}

static void compare(const struct settings *expected, const char *who)
{
    struct settings now;
    look(&now);
    if (memcmp(&now, expected, sizeof(now)) != 0)
    {
        target_fail("%s: slack %ld io %#lx speculation %ld %ld %ld machine check %ld tsc %ld mdwe %ld policy %d cpus %d sched %u %d "
                    "%#llx %llu memory %d",
                    who, now.slack, now.io_priority, now.speculation[0], now.speculation[1], now.speculation[2], now.machine_check,
                    now.stamp, now.write_or_execute, now.memory_policy, CPU_COUNT(&now.processors), now.attributes.policy,
                    now.attributes.nice, (unsigned long long)now.attributes.flags, (unsigned long long)now.attributes.runtime,
                    now.memory_policy);
    }
}

static void set_affinity(unsigned which)
{
    cpu_set_t all, one;
    TARGET_CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
    CPU_ZERO(&one);
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
    {
        if (CPU_ISSET(i, &all) && which-- == 0)
        {
            CPU_SET(i, &one);
        }
    }
    TARGET_CHECK(CPU_COUNT(&one) == 0 || sched_setaffinity(0, sizeof(one), &one) == 0);
}

static void set_thread(int index)
{
    prctl(PR_SET_TIMERSLACK, 123456L + index, 0, 0, 0);
    set_affinity((unsigned)index);
    syscall(SYS_ioprio_set, 1, 0, index == 0 ? 3 << 13 : 2 << 13 | (3 + index));
    prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, index == 0 ? PR_SPEC_DISABLE : PR_SPEC_ENABLE, 0, 0);
    prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, index == 0 ? PR_SPEC_FORCE_DISABLE : PR_SPEC_DISABLE, 0, 0);
    prctl(PR_MCE_KILL, PR_MCE_KILL_SET, index == 0 ? PR_MCE_KILL_EARLY : PR_MCE_KILL_LATE, 0, 0);
    unsigned long node = 1;
    syscall(SYS_set_mempolicy, index == 0 ? MPOL_BIND : MPOL_PREFERRED, &node, 64);
    struct attributes attributes = {.size = sizeof(attributes), .policy = index == 0 ? SCHED_OTHER : SCHED_BATCH, .nice = 3 + index,
                                    .runtime = 5000000};
    attributes.flags = index == 0 ? 0 : 1 /* SCHED_FLAG_RESET_ON_FORK */;
    TARGET_CHECK(syscall(SYS_sched_setattr, 0, &attributes, 0) == 0);
}

static _Atomic bool thread_is_ready;

static void *thread(void *argument)
{
    struct settings mine;
    set_thread(1);
    look(&mine);
    thread_is_ready = true;
    while (!target_stopped)
    {
        compare(&mine, "the thread");
        usleep(20000);
    }
    return argument;
}

static void set_process(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY);
    TARGET_CHECK(fd >= 0 && write(fd, "0x1f3", 5) == 5 && close(fd) == 0);
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
    prctl(PR_SET_MDWE, 1, 0, 0, 0);
    if (mlockall(MCL_FUTURE | MCL_ONFAULT) != 0)
    {
        TARGET_CHECK(errno == EPERM || errno == ENOMEM);
    }
}

/* What is mapped now tells whether memory is locked as it comes. */
static bool locks_new_memory(void)
{
    unsigned char resident;
    uint8_t *page = mmap(NULL, TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(page != MAP_FAILED && mincore(page, TARGET_PAGE, &resident) == 0);
    bool locked = false;
    char line[512], range[64];
    FILE *maps = fopen("/proc/self/smaps", "r");
    bool inside = false;
    snprintf(range, sizeof(range), "%lx-", (unsigned long)page);
    TARGET_CHECK(maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL)
    {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
        {
            inside = from <= (unsigned long)page && (unsigned long)page < to;
        }
        locked |= inside && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " lo") != NULL && strstr(line, " lf") != NULL;
    }
    fclose(maps);
    TARGET_CHECK(munmap(page, TARGET_PAGE) == 0);
    return locked;
}

int main(int count, char **arguments)
{
    struct settings mine;
    target_begin(count, arguments);
    set_process();
    pthread_t other = target_thread(thread, NULL);
    set_thread(0);
    while (!thread_is_ready)
    {
        usleep(1000);
    }
    look(&mine);
    bool locks = locks_new_memory();
    target_ready();
    while (target_running(50))
    {
        compare(&mine, "the main thread");
    }

    compare(&mine, "the main thread");
    TARGET_EQUAL(locks, locks_new_memory());
    pthread_join(other, NULL);
    return target_end();
}
