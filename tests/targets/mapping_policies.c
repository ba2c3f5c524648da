/*
 * Kernel object: memory policies of single mappings (mbind(2)), of a process and of a child that has others than it was born with. A kernel
 * without memory nodes has none; then there is nothing to notice.
 */
#include "target.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/wait.h>

#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5
#endif

enum { mappings = 8, pages = 4 };

static const int modes[mappings] = {MPOL_DEFAULT, MPOL_BIND, MPOL_PREFERRED, MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_PREFERRED_MANY,
                                    MPOL_BIND | MPOL_F_STATIC_NODES, MPOL_INTERLEAVE | MPOL_F_RELATIVE_NODES};

struct policy
{
    int mode;
    unsigned long nodes[16];
};

static char *memory[mappings];
static struct policy expected[mappings];

static void look(struct policy *is, char *address)
{
    memset(is, 0, sizeof(*is));
    if (syscall(SYS_get_mempolicy, &is->mode, is->nodes, 1024, address, MPOL_F_ADDR) != 0)
    {
        is->mode = -errno;
    }
}

static void set(char *address, int mode)
{
    unsigned long node = mode == MPOL_DEFAULT || mode == MPOL_LOCAL ? 0 : 1;
    syscall(SYS_mbind, address, (size_t)pages * TARGET_PAGE, mode, &node, 64, 0);
}

static void make(void)
{
    for (int i = 0; i < mappings; i++)
    {
        /* Pages between them, so that none become one. */
        int shared = i % 3 == 1 ? MAP_SHARED : MAP_PRIVATE;
        memory[i] = mmap(NULL, (size_t)(pages + 2) * TARGET_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        TARGET_CHECK(memory[i] != MAP_FAILED);
        memory[i] += TARGET_PAGE;
        TARGET_CHECK(mmap(memory[i], (size_t)pages * TARGET_PAGE, PROT_READ | PROT_WRITE, shared | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory[i]);
        set(memory[i], modes[i]);
        memory[i][TARGET_PAGE] = (char)(i + 1);
    }
}

static void remember(void)
{
    for (int i = 0; i < mappings; i++)
    {
        look(&expected[i], memory[i]);
    }
}

static void compare(const char *who)
{
    for (int i = 0; i < mappings; i++)
    {
        struct policy now;
        look(&now, memory[i]);
        if (memcmp(&now, &expected[i], sizeof(now)) != 0 || memory[i][TARGET_PAGE] != i + 1)
        {
            target_fail("%s, mapping %d: policy %#x instead of %#x, nodes %#lx instead of %#lx", who, i, now.mode, expected[i].mode, now.nodes[0],
                        expected[i].nodes[0]);
        }
    }
}

static void be_child(void)
{
    /* Neither of these is shared memory, whose policy is the memory's own. */
    set(memory[0], MPOL_BIND);
    set(memory[2], MPOL_DEFAULT);
    set(memory[3], MPOL_PREFERRED);
    remember();
    while (target_running(20))
    {
        compare("the child");
    }
    compare("the child");
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    make();
    remember();
    pid_t child = fork();
    TARGET_CHECK(child >= 0);
    if (child == 0)
    {
        be_child();
        _exit(0);
    }

    usleep(50000);
    target_ready();
    while (target_running(20))
    {
        compare("the parent");
    }

    compare("the parent");
    int status;
    TARGET_CHECK(kill(child, SIGTERM) == 0 && waitpid(child, &status, 0) == child);
    TARGET_EQUAL(0, WEXITSTATUS(status));
    return target_end();
}
