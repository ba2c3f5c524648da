/*
 * Kernel object: private anonymous vm_area_structs and their pages. Every protection, contents behind PROT_NONE, pages never
 * touched between written ones, pages only read (the zero page), zero-filled written pages, executable pages, locked
 * memory, MAP_NORESERVE, MAP_STACK, MAP_POPULATE, all kinds of madvise that stay on a mapping, discarded pages, a
 * huge-page-advised area, a mapping at the lowest address, droppable memory, and a MAP_GROWSDOWN one that must still grow.
 */
#include "target.h"

#include <sys/mman.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

struct region
{
    const char *name;
    int flags;      /* beside MAP_PRIVATE | MAP_ANONYMOUS */
    int protection; /* after the content was written */
    size_t pages;
    int stride;     /* every so many pages is written; 0: none */
    int advice;     /* of madvise, or -1 */
    uint8_t *at;
};

static struct region regions[] = {
    {"read-write", 0, PROT_READ | PROT_WRITE, 16, 1, -1, NULL},
    {"read-only", 0, PROT_READ, 5, 1, -1, NULL},
    {"behind PROT_NONE", 0, PROT_NONE, 7, 2, -1, NULL},
    {"write-only", 0, PROT_WRITE, 3, 1, -1, NULL},
    {"execute and read", 0, PROT_READ | PROT_EXEC, 3, 1, -1, NULL},
    {"everything allowed", 0, PROT_READ | PROT_WRITE | PROT_EXEC, 3, 1, -1, NULL},
    {"empty PROT_NONE", 0, PROT_NONE, 300, 0, -1, NULL},
    {"empty read-write", 0, PROT_READ | PROT_WRITE, 300, 0, -1, NULL},
    {"with holes", 0, PROT_READ | PROT_WRITE, 1001, 10, -1, NULL},
    {"sparse MAP_NORESERVE", MAP_NORESERVE, PROT_READ | PROT_WRITE, 262144, 20001, -1, NULL},
    {"MAP_STACK", MAP_STACK, PROT_READ | PROT_WRITE, 4, 1, -1, NULL},
    {"MAP_POPULATE", MAP_POPULATE, PROT_READ | PROT_WRITE, 8, 2, -1, NULL},
    {"MAP_LOCKED", MAP_LOCKED, PROT_READ | PROT_WRITE, 4, 1, -1, NULL},
    {"MADV_DONTFORK", 0, PROT_READ | PROT_WRITE, 4, 1, MADV_DONTFORK, NULL},
    {"MADV_DONTDUMP", 0, PROT_READ | PROT_WRITE, 4, 1, MADV_DONTDUMP, NULL},
    {"MADV_WIPEONFORK", 0, PROT_READ | PROT_WRITE, 4, 1, MADV_WIPEONFORK, NULL},
    {"MADV_MERGEABLE", 0, PROT_READ | PROT_WRITE, 4, 1, MADV_MERGEABLE, NULL},
    {"MADV_SEQUENTIAL", 0, PROT_READ | PROT_WRITE, 4, 1, MADV_SEQUENTIAL, NULL},
    {"MADV_RANDOM", 0, PROT_READ | PROT_WRITE, 4, 1, MADV_RANDOM, NULL},
    {"MADV_NOHUGEPAGE", 0, PROT_READ | PROT_WRITE, 1024, 3, MADV_NOHUGEPAGE, NULL},
    {"MADV_HUGEPAGE", 0, PROT_READ | PROT_WRITE, 2048, 1, MADV_HUGEPAGE, NULL},
    {"MADV_HUGEPAGE with holes", 0, PROT_READ | PROT_WRITE, 2048, 600, MADV_HUGEPAGE, NULL},
};

static void set_up(struct region *region, uint32_t seed)
{
    size_t length = region->pages * TARGET_PAGE;
    region->at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | region->flags, -1, 0);
    if (region->at == MAP_FAILED)
    {
        target_fail("cannot map %s: %s", region->name, strerror(errno));
    }
    if (region->advice >= 0 && madvise(region->at, length, region->advice) != 0)
    {
        TARGET_EQUAL(EINVAL, errno); /* a kernel without KSM or huge pages */
    }

    for (size_t page = 0; region->stride > 0 && page < region->pages; page += (size_t)region->stride)
    {
        target_fill(region->at + page * TARGET_PAGE, TARGET_PAGE, seed, page * TARGET_PAGE);
    }
    if (region->protection != (PROT_READ | PROT_WRITE))
    {
        TARGET_CHECK(mprotect(region->at, length, region->protection) == 0);
    }
}

/* Checks what is written; with holes also what is not, which touches every page. */
static void check(struct region *region, uint32_t seed, bool holes)
{
    for (size_t page = 0; page < region->pages; page++)
    {
        uint8_t *at = region->at + page * TARGET_PAGE;
        if (region->stride > 0 && page % (size_t)region->stride == 0)
        {
            target_verify(at, TARGET_PAGE, seed, page * TARGET_PAGE, region->name);
        }
        else if (holes && region->pages < 10000)
        {
            target_verify_zero(at, TARGET_PAGE, region->name);
        }
    }
}

static void check_all(bool last)
{
    for (size_t i = 0; i < TARGET_COUNT(regions); i++)
    {
        struct region *region = &regions[i];
        if (last)
        {
            TARGET_CHECK(mprotect(region->at, region->pages * TARGET_PAGE, PROT_READ | PROT_WRITE) == 0);
        }
        if (last || (region->protection & PROT_READ) != 0)
        {
            check(region, (uint32_t)i + 1, last);
        }
    }
}

/* Machine code in memory of our own: mov $7, %eax; ret. */
static int (*code)(void);

static void set_up_code(void)
{
    static const uint8_t bytes[] = {0xb8, 7, 0, 0, 0, 0xc3};
    uint8_t *page = mmap(NULL, TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(page != MAP_FAILED);
    memcpy(page, bytes, sizeof(bytes));
    TARGET_CHECK(mprotect(page, TARGET_PAGE, PROT_EXEC) == 0);
    code = (int (*)(void))(uintptr_t)page;
}

/* Three pages: read only (the kernel's zero page), written with zeros, written and then given back. */
static uint8_t *zeros;

static void set_up_zeros(void)
{
    zeros = mmap(NULL, 3 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(zeros != MAP_FAILED);
    target_verify_zero(zeros, TARGET_PAGE, "page read before it was written");
    memset(zeros + TARGET_PAGE, 0, TARGET_PAGE);
    target_fill(zeros + 2 * TARGET_PAGE, TARGET_PAGE, 99, 0);
    TARGET_CHECK(madvise(zeros + 2 * TARGET_PAGE, TARGET_PAGE, MADV_DONTNEED) == 0);
}

/* The lowest address that a program may map; where nobody else expects anything. */
static uint8_t *lowest;

static void set_up_lowest(void)
{
    lowest = mmap((void *)0x10000, 2 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    TARGET_CHECK(lowest == (uint8_t *)0x10000);
    target_fill(lowest, 2 * TARGET_PAGE, 77, 0);
}

/* mlock2(MLOCK_ONFAULT): locked once touched; half of it is. */
static uint8_t *on_fault;

static void set_up_on_fault(void)
{
    on_fault = mmap(NULL, 8 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(on_fault != MAP_FAILED);
    TARGET_CHECK(mlock2(on_fault, 8 * TARGET_PAGE, MLOCK_ONFAULT) == 0);
    target_fill(on_fault, 4 * TARGET_PAGE, 55, 0);
}

/* Memory that the kernel may take away at any time (MAP_DROPPABLE, since Linux 6.11): a page is what it was, or zeros. */
static uint8_t *droppable;

static void set_up_droppable(void)
{
    droppable = mmap(NULL, 3 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
    if (droppable == MAP_FAILED)
    {
        TARGET_EQUAL(EINVAL, errno);
        return;
    }
    target_fill(droppable, 2 * TARGET_PAGE, 44, 0);
}

static void check_droppable(void)
{
    for (size_t page = 0; page < 2 && droppable != MAP_FAILED; page++)
    {
        uint8_t *at = droppable + page * TARGET_PAGE;
        if (at[0] == target_byte(44, page * TARGET_PAGE) && at[1] == target_byte(44, page * TARGET_PAGE + 1))
        {
            target_verify(at, TARGET_PAGE, 44, page * TARGET_PAGE, "MAP_DROPPABLE");
        }
        else
        {
            target_verify_zero(at, TARGET_PAGE, "MAP_DROPPABLE");
        }
    }
}

/* A stack-like mapping whose start moves down as it is touched: 4 pages now, 40 in the end. */
static uint8_t *stack_top;

static void set_up_growing(void)
{
    /* The wide reservation makes sure that nothing is right below. */
    uint8_t *room = mmap(NULL, 1024 * TARGET_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TARGET_CHECK(room != MAP_FAILED && munmap(room, 1024 * TARGET_PAGE) == 0);
    uint8_t *at = mmap(room + 1020 * TARGET_PAGE, TARGET_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_GROWSDOWN, -1, 0);
    TARGET_CHECK(at == room + 1020 * TARGET_PAGE);
    stack_top = at + TARGET_PAGE;
    for (size_t page = 1; page <= 4; page++)
    {
        target_fill(stack_top - page * TARGET_PAGE, TARGET_PAGE, 66, page);
    }
}

static void grow(void)
{
    for (size_t page = 5; page <= 40; page++)
    {
        target_verify_zero(stack_top - page * TARGET_PAGE, TARGET_PAGE, "MAP_GROWSDOWN");
        target_fill(stack_top - page * TARGET_PAGE, TARGET_PAGE, 66, page);
    }
}

static void check_special(size_t grown)
{
    TARGET_EQUAL(7, code());
    check_droppable();
    target_verify_zero(zeros, 3 * TARGET_PAGE, "pages of zeros");
    target_verify(lowest, 2 * TARGET_PAGE, 77, 0, "lowest mapping");
    target_verify(on_fault, 4 * TARGET_PAGE, 55, 0, "MLOCK_ONFAULT");
    for (size_t page = 1; page <= grown; page++)
    {
        target_verify(stack_top - page * TARGET_PAGE, TARGET_PAGE, 66, page, "MAP_GROWSDOWN");
    }
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    for (size_t i = 0; i < TARGET_COUNT(regions); i++)
    {
        set_up(&regions[i], (uint32_t)i + 1);
    }
    set_up_code();
    set_up_zeros();
    set_up_lowest();
    set_up_on_fault();
    set_up_growing();
    set_up_droppable();
    check_special(4);

    target_ready();
    while (target_running(50))
    {
        check_all(false);
        check_special(4);
    }

    check_all(true);
    grow();
    check_special(40);
    return target_end();
}
