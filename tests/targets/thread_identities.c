/*
 * Kernel object: struct cred, of which each thread may have its own (credentials(7)); most have their process's. Among many threads that do, some have another
 * user, fewer capabilities, other groups, other securebits, or no_new_privs; each looks for itself.
 */
#include "target.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

enum { threads = 130, kinds = 6, special = 11 };

static atomic_int set_up;

struct sets
{
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct data[2];
};

static struct sets capabilities(void)
{
    struct sets sets = {.header = {_LINUX_CAPABILITY_VERSION_3, 0}};
    TARGET_CHECK(syscall(SYS_capget, &sets.header, sets.data) == 0);
    return sets;
}

/* The system calls themselves: libc would change all threads. */
static void become(int kind)
{
    gid_t groups[3] = {7, 8, 9};
    struct sets sets;
    switch (kind)
    {
    case 1:
        TARGET_CHECK(syscall(SYS_setfsuid, 1234) == 0);
        break;
    case 2:
        sets = capabilities();
        sets.data[0].effective &= ~(1U << CAP_SYS_BOOT);
        sets.data[0].permitted &= ~(1U << CAP_SYS_BOOT);
        TARGET_CHECK(syscall(SYS_capset, &sets.header, sets.data) == 0);
        break;
    case 3:
        TARGET_CHECK(syscall(SYS_setgroups, 3, groups) == 0);
        break;
    case 4:
        TARGET_CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE) == 0);
        break;
    case 5:
        TARGET_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        break;
    }
}

static void check(int kind)
{
    gid_t groups[64];
    struct sets sets = capabilities();
    int number = (int)syscall(SYS_getgroups, 64, groups);
    TARGET_EQUAL(kind == 1 ? 1234 : 0, syscall(SYS_setfsuid, -1));
    TARGET_EQUAL(kind != 2, (sets.data[0].permitted >> CAP_SYS_BOOT) & 1);
    TARGET_EQUAL(1, number == 3 && groups[0] == 7 && groups[2] == 9 ? kind == 3 : kind != 3);
    TARGET_EQUAL(kind == 4 ? SECBIT_NO_CAP_AMBIENT_RAISE : 0, prctl(PR_GET_SECUREBITS));
    TARGET_EQUAL(kind == 5, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void *live(void *argument)
{
    long number = (long)argument;
    int kind = number % special == 0 ? (int)(number / special % kinds) : 0;
    become(kind);
    check(kind);
    atomic_fetch_add(&set_up, 1);
    while (target_running(100))
    {
        check(kind);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    TARGET_CHECK(syscall(SYS_setgroups, 0, NULL) == 0);
    for (long i = 1; i <= threads; i++)
    {
        target_thread(live, (void *)i);
    }
    while (atomic_load(&set_up) < threads)
    {
        usleep(1000);
    }
    target_ready();
    while (target_running(20))
    {
        check(0);
    }
    return target_end();
}
