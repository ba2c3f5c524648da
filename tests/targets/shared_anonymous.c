/*
 * Kernel object: shared anonymous memory, one inode behind any number of mappings. Windows at several offsets and with several
 * protections on one object, a part that nobody maps any more but mremap can bring back, holes that stay holes, locked and
 * advised mappings, a large sparse one with MAP_NORESERVE, executable memory, and /dev/zero mapped shared.
 */
#include "target.h"

#include <sys/mman.h>

#define OBJECT 64UL /* pages */

static void *must_map(size_t pages, int protection, int flags, int fd)
{
    void *at = mmap(NULL, pages * TARGET_PAGE, protection, MAP_SHARED | flags, fd, 0);
    TARGET_CHECK(at != MAP_FAILED);
    return at;
}

/* One more window on the pages behind an address: mremap with an old size of nothing (mremap(2)). */
static uint8_t *window(void *at, size_t pages)
{
    void *other = mremap(at, 0, pages * TARGET_PAGE, MREMAP_MAYMOVE);
    TARGET_CHECK(other != MAP_FAILED);
    return other;
}

static uint8_t *whole, *second, *read_only, *closed, *middle, *write_only;

static void set_up_windows(void)
{
    whole = must_map(OBJECT, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1);
    target_fill(whole, 4 * TARGET_PAGE, 1, 0);
    target_fill(whole + 10 * TARGET_PAGE, 12 * TARGET_PAGE, 1, 10 * TARGET_PAGE);
    target_fill(whole + (OBJECT - 1) * TARGET_PAGE, TARGET_PAGE, 1, (OBJECT - 1) * TARGET_PAGE);
    second = window(whole, OBJECT);
    read_only = window(whole + 8 * TARGET_PAGE, 20);
    TARGET_CHECK(mprotect(read_only, 20 * TARGET_PAGE, PROT_READ) == 0);
    closed = window(whole + TARGET_PAGE, 3);
    TARGET_CHECK(mprotect(closed, 3 * TARGET_PAGE, PROT_NONE) == 0);
    middle = window(whole + 12 * TARGET_PAGE, 8);
    TARGET_CHECK(munmap(middle + 2 * TARGET_PAGE, 3 * TARGET_PAGE) == 0);
    write_only = window(whole + 30 * TARGET_PAGE, 1);
    TARGET_CHECK(mprotect(write_only, TARGET_PAGE, PROT_WRITE) == 0);
}

static void check_windows(void)
{
    static uint32_t counter = 7;
    uint32_t found;

    memcpy(whole + 30 * TARGET_PAGE, &counter, sizeof(counter));
    memcpy(&found, second + 30 * TARGET_PAGE, sizeof(found));
    TARGET_EQUAL(counter, found);
    counter++;
    *(volatile uint32_t *)write_only = counter;
    memcpy(&found, whole + 30 * TARGET_PAGE, sizeof(found));
    TARGET_EQUAL(counter, found);

    target_verify(second, 4 * TARGET_PAGE, 1, 0, "head");
    target_verify(second + 10 * TARGET_PAGE, 12 * TARGET_PAGE, 1, 10 * TARGET_PAGE, "body");
    target_verify(second + (OBJECT - 1) * TARGET_PAGE, TARGET_PAGE, 1, (OBJECT - 1) * TARGET_PAGE, "tail");
    target_verify(read_only + 2 * TARGET_PAGE, 12 * TARGET_PAGE, 1, 10 * TARGET_PAGE, "read-only window");
    target_verify(middle, 2 * TARGET_PAGE, 1, 12 * TARGET_PAGE, "window before a gap");
    target_verify(middle + 5 * TARGET_PAGE, 3 * TARGET_PAGE, 1, 17 * TARGET_PAGE, "window behind a gap");
}

/* Only pages 4 to 7 of 16 are mapped; what lies behind them is found again by growing. */
static uint8_t *part;

static void set_up_part(void)
{
    uint8_t *at = must_map(16, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1);
    target_fill(at, 16 * TARGET_PAGE, 2, 0);
    TARGET_CHECK(munmap(at, 4 * TARGET_PAGE) == 0 && munmap(at + 8 * TARGET_PAGE, 8 * TARGET_PAGE) == 0);
    part = at + 4 * TARGET_PAGE;
}

static void grow_part(void)
{
    uint8_t *grown = mremap(part, 4 * TARGET_PAGE, 12 * TARGET_PAGE, MREMAP_MAYMOVE);
    TARGET_CHECK(grown != MAP_FAILED);
    target_verify(grown, 12 * TARGET_PAGE, 2, 4 * TARGET_PAGE, "grown window");
}

/* 2 GiB of which a few pages exist. */
#define SPARSE (2UL << 30)
static uint8_t *sparse;

static void set_up_sparse(void)
{
    sparse = must_map(SPARSE / TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE, -1);
    for (size_t at = 0; at < SPARSE; at += 100000 * TARGET_PAGE)
    {
        target_fill(sparse + at, 2 * TARGET_PAGE, 3, at);
    }
}

static void check_sparse(void)
{
    for (size_t at = 0; at < SPARSE; at += 100000 * TARGET_PAGE)
    {
        target_verify(sparse + at, 2 * TARGET_PAGE, 3, at, "sparse memory");
    }
}

/* How many pages of the object behind a mapping exist. */
static size_t pages_of(void *at, size_t length)
{
    char path[80];
    struct stat status;
    snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)at, (unsigned long)at + length);
    TARGET_CHECK(stat(path, &status) == 0);
    return (size_t)status.st_blocks * 512 / TARGET_PAGE;
}

static uint8_t *locked, *advised, *zero, *lone;
static int (*code)(void);

static void set_up_others(void)
{
    static const uint8_t bytes[] = {0xb8, 9, 0, 0, 0, 0xc3}; /* mov $9, %eax; ret */

    locked = must_map(4, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_LOCKED, -1);
    target_fill(locked, 4 * TARGET_PAGE, 4, 0);
    advised = must_map(8, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1);
    TARGET_CHECK(madvise(advised, 8 * TARGET_PAGE, MADV_DONTFORK) == 0 && madvise(advised, 8 * TARGET_PAGE, MADV_RANDOM) == 0);
    target_fill(advised, TARGET_PAGE, 5, 0);
    int fd = open("/dev/zero", O_RDWR);
    TARGET_CHECK(fd >= 0);
    zero = must_map(5, PROT_READ | PROT_WRITE, 0, fd);
    TARGET_CHECK(close(fd) == 0);
    target_fill(zero, 5 * TARGET_PAGE, 6, 0);
    lone = must_map(3, PROT_READ, MAP_ANONYMOUS, -1);
    uint8_t *page = must_map(1, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1);
    memcpy(page, bytes, sizeof(bytes));
    TARGET_CHECK(mprotect(page, TARGET_PAGE, PROT_READ | PROT_EXEC) == 0);
    code = (int (*)(void))(uintptr_t)page;
}

static void check_others(void)
{
    target_verify(locked, 4 * TARGET_PAGE, 4, 0, "locked memory");
    target_verify(advised, TARGET_PAGE, 5, 0, "advised memory");
    target_verify(zero, 5 * TARGET_PAGE, 6, 0, "/dev/zero");
    TARGET_EQUAL(9, code());
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    set_up_windows();
    set_up_part();
    set_up_sparse();
    set_up_others();
    check_windows();
    size_t of_whole = pages_of(whole, OBJECT * TARGET_PAGE), of_sparse = pages_of(sparse, SPARSE);
    size_t of_advised = pages_of(advised, 8 * TARGET_PAGE), of_lone = pages_of(lone, 3 * TARGET_PAGE);

    target_ready();
    while (target_running(50))
    {
        check_windows();
        check_sparse();
        check_others();
    }

    TARGET_EQUAL(of_whole, pages_of(whole, OBJECT * TARGET_PAGE));
    TARGET_EQUAL(of_sparse, pages_of(sparse, SPARSE));
    TARGET_EQUAL(of_advised, pages_of(advised, 8 * TARGET_PAGE));
    TARGET_EQUAL(of_lone, pages_of(lone, 3 * TARGET_PAGE));
    check_windows();
    grow_part();
    TARGET_CHECK(mprotect(closed, 3 * TARGET_PAGE, PROT_READ) == 0);
    target_verify(closed, 3 * TARGET_PAGE, 1, TARGET_PAGE, "window behind PROT_NONE");
    TARGET_CHECK(mprotect(lone, 3 * TARGET_PAGE, PROT_READ | PROT_WRITE) == 0);
    target_verify_zero(lone, 3 * TARGET_PAGE, "untouched memory");
    return target_end();
}
