/*
 * Kernel object: the page table of one large private mapping of which every second page exists. Each page is a run of its
 * own in a page map: there are more of them than one round of writing takes. Untouched pages must stay untouched.
 */
#include "target.h"

#include <sys/mman.h>

enum { pages = 60000 };

static void check(const uint8_t *memory)
{
    for (int page = 0; page < pages; page += 2)
    {
        target_verify(memory + (size_t)page * TARGET_PAGE, TARGET_PAGE, 9, (size_t)page * TARGET_PAGE, "scattered page");
    }
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    uint8_t *memory = mmap(NULL, (size_t)pages * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(memory != MAP_FAILED);
    TARGET_CHECK(madvise(memory, (size_t)pages * TARGET_PAGE, MADV_NOHUGEPAGE) == 0);
    for (int page = 0; page < pages; page += 2)
    {
        target_fill(memory + (size_t)page * TARGET_PAGE, TARGET_PAGE, 9, (size_t)page * TARGET_PAGE);
    }

    target_ready();
    while (target_running(200))
    {
        check(memory);
    }

    check(memory);
    return target_end();
}
