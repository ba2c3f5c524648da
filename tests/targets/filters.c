/* Filters of system calls: a chain that all threads share, and one thread with a filter of its own. */
#include "target.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static atomic_int turns, strange;

/* A filter that makes one system call fail with an error of its own. */
static void deny(int number, int error, unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {TARGET_COUNT(code), code};
    TARGET_EQUAL(0, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

static void expect(int number, int error)
{
    errno = 0;
    TARGET_EQUAL(-1, syscall(number, -1, -1, -1, -1));
    TARGET_EQUAL(error, errno);
}

static void *run(void *unused)
{
    (void)unused;
    for (;;)
    {
        errno = 0;
        if (syscall(SYS_getpriority, -1, -1) != -1 || errno != 91)
        {
            atomic_store(&strange, errno == 0 ? -1 : errno);
        }

        atomic_fetch_add(&turns, 1);
        usleep(5000);
    }

    return NULL;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    target_thread(run, NULL);
    while (atomic_load(&turns) == 0)
    {
        usleep(1000);
    }

    TARGET_EQUAL(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    deny(SYS_getpriority, 91, SECCOMP_FILTER_FLAG_TSYNC);
    deny(SYS_munmap, 92, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG);
    deny(SYS_socketpair, 93, SECCOMP_FILTER_FLAG_TSYNC);
    atomic_store(&strange, 0);
    target_ready();
    while (target_running(50))
    {
        expect(SYS_getpriority, 91);
        expect(SYS_munmap, 92);
        expect(SYS_socketpair, 93);
    }

    int before = atomic_load(&turns);
    while (atomic_load(&turns) < before + 3)
    {
        usleep(1000);
    }

    TARGET_EQUAL(0, atomic_load(&strange));

    /* All threads have one chain still, else this would fail; and a filter forbids what it forbids. */
    deny(SYS_sysinfo, 94, SECCOMP_FILTER_FLAG_TSYNC);
    expect(SYS_sysinfo, 94);
    return target_end();
}
