/*
 * Kernel object: guard pages, made by madvise(MADV_GUARD_INSTALL) (Linux 6.13; markers in the page table, no mapping of
 * their own) and by PROT_NONE mappings around a thread's stack. Touching one must raise SIGSEGV, before and after. Where
 * the kernel has no such markers, PROT_NONE stands in for them.
 */
#include "target.h"

#include <setjmp.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

enum { pages = 40 };

static sigjmp_buf fault;

static void on_fault(int signal)
{
    (void)signal;
    siglongjmp(fault, 1);
}

static bool faults(const uint8_t *at)
{
    if (sigsetjmp(fault, 1) != 0)
    {
        return true;
    }
    (void)*(const volatile uint8_t *)at;
    return false;
}

static bool guarded(int page)
{
    return page % 8 == 7 || page == 20 || page == 21;
}

static void check(const uint8_t *memory, const uint8_t *stack)
{
    for (int page = 0; page < pages; page++)
    {
        const uint8_t *at = memory + (size_t)page * TARGET_PAGE;
        TARGET_EQUAL(guarded(page), faults(at));
        if (!guarded(page) && page % 2 == 0)
        {
            target_verify(at, TARGET_PAGE, 5, (size_t)page * TARGET_PAGE, "page between guards");
        }
    }
    TARGET_CHECK(faults(stack) && !faults(stack + TARGET_PAGE));
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

    target_begin(argc, argv);
    TARGET_CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    uint8_t *memory = mmap(NULL, pages * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *stack = mmap(NULL, 17 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    TARGET_CHECK(memory != MAP_FAILED && stack != MAP_FAILED);
    TARGET_CHECK(mprotect(stack, TARGET_PAGE, PROT_NONE) == 0);
    for (int page = 0; page < pages; page += 2)
    {
        target_fill(memory + (size_t)page * TARGET_PAGE, TARGET_PAGE, 5, (size_t)page * TARGET_PAGE);
    }
    for (int page = 0; page < pages; page++)
    {
        if (guarded(page) && madvise(memory + (size_t)page * TARGET_PAGE, TARGET_PAGE, MADV_GUARD_INSTALL) != 0)
        {
            TARGET_EQUAL(EINVAL, errno);
            TARGET_CHECK(mprotect(memory + (size_t)page * TARGET_PAGE, TARGET_PAGE, PROT_NONE) == 0);
        }
    }
    check(memory, stack);

    target_ready();
    while (target_running(50))
    {
        check(memory, stack);
    }

    check(memory, stack);
    return target_end();
}
