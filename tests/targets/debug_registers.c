/*
 * Kernel object: breakpoints in the processor's debug registers, which a tracer has set in a task before it detached (ptrace(2), PTRACE_POKEUSR). Child
 * processes set them and look at them; whether the machine stops at them is not asked: virtual ones may not.
 */
#include "target.h"

#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { control = 7, enabled = 0x1 | 0x4, write_four_bytes = 0xd, all_registers = 8 };

static volatile int watched[2];

static const size_t base = offsetof(struct user, u_debugreg);

/* What is set: two watched words, the third and fourth unused. */
static unsigned long wanted(int number)
{
    switch (number)
    {
    case 0: return (unsigned long)&watched[0];
    case 1: return (unsigned long)&watched[1];
    case control: return enabled | write_four_bytes << 16 | write_four_bytes << 20;
    default: return 0;
    }
}

static int attached(bool set)
{
    pid_t parent = getppid();
    int status;
    if (ptrace(PTRACE_SEIZE, parent, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, parent, 0, 0) != 0 || waitpid(parent, &status, __WALL) != parent)
    {
        return 10 + errno;
    }
    for (int i = 0; i < all_registers; i++)
    {
        if (i == 4 || i == 5 || i == 6)
        {
            continue;
        }
        void *place = (void *)(base + i * sizeof(long));
        errno = 0;
        if (set ? ptrace(PTRACE_POKEUSER, parent, place, (void *)wanted(i)) != 0
                : (unsigned long)ptrace(PTRACE_PEEKUSER, parent, place, 0) != wanted(i) || errno != 0)
        {
            return 1 + i;
        }
    }
    return ptrace(PTRACE_DETACH, parent, 0, 0) == 0 ? 0 : 9;
}

static void by_child(bool set)
{
    pid_t child = fork();
    if (child == 0)
    {
        _exit(attached(set));
    }
    int status;
    while (waitpid(child, &status, 0) != child)
    {
        TARGET_EQUAL(EINTR, errno);
    }
    TARGET_EQUAL(0, status);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    by_child(true);
    by_child(false);
    target_ready();
    while (target_running(100))
    {
    }
    by_child(false);
    return target_end();
}
