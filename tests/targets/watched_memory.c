/*
 * Memory that is registered with two files of userfaultfd: of one, absent pages are told of, of the other, writes. Pages of zeros that are there must not become absent,
 * and absent ones not zeros, huge pages or not. A thread waits for a page all the time, and gets it at the end.
 */
#include "target.h"
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif

#define PAGES 1024UL
#define HUGE (2UL << 20)

static const uint32_t SEED = 77;
static int missing, writes, page_map;
static char *lazy, *tracked;

static int make(uint64_t features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    int fd = (int)syscall(SYS_userfaultfd, O_NONBLOCK | O_CLOEXEC);
    TARGET_CHECK(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0);
    return fd;
}

static char *map(size_t pages)
{
    char *area = mmap(NULL, pages * TARGET_PAGE + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(area != MAP_FAILED);
    return (char *)(((uintptr_t)area + HUGE - 1) & ~(HUGE - 1));
}

static void watch(int fd, char *area, size_t pages, uint64_t mode)
{
    struct uffdio_register range = {.range = {(uint64_t)area, pages * TARGET_PAGE}, .mode = mode};
    TARGET_CHECK(ioctl(fd, UFFDIO_REGISTER, &range) == 0);
}

static void give(char *page, size_t number)
{
    static char source[TARGET_PAGE];
    target_fill(source, TARGET_PAGE, SEED, number * TARGET_PAGE);
    struct uffdio_copy copy = {.dst = (uint64_t)page, .src = (uint64_t)source, .len = TARGET_PAGE};
    TARGET_CHECK(ioctl(missing, UFFDIO_COPY, &copy) == 0);
}

/* What is there in the lazy area: every third page has content, the one behind it zeros. */
static bool has_content(size_t page) { return page % 3 == 0; }
static bool has_zeros(size_t page) { return page % 3 == 1; }

static void set_up(void)
{
    missing = make(UFFD_FEATURE_THREAD_ID);
    lazy = map(PAGES);
    TARGET_CHECK(madvise(lazy, PAGES * TARGET_PAGE, MADV_HUGEPAGE) == 0 || errno == EINVAL);
    watch(missing, lazy, PAGES, UFFDIO_REGISTER_MODE_MISSING);
    for (size_t i = 0; i < PAGES; i++)
    {
        if (has_content(i))
        {
            give(lazy + i * TARGET_PAGE, i);
        }
        else if (has_zeros(i))
        {
            struct uffdio_zeropage zero = {.range = {(uint64_t)lazy + i * TARGET_PAGE, TARGET_PAGE}};
            TARGET_CHECK(ioctl(missing, UFFDIO_ZEROPAGE, &zero) == 0);
        }
    }

    writes = make(UFFD_FEATURE_PAGEFAULT_FLAG_WP | (getenv("MARKS") != NULL ? UFFD_FEATURE_WP_UNPOPULATED : 0));
    tracked = map(PAGES);
    target_fill(tracked, PAGES * TARGET_PAGE / 2, SEED, 0);
    watch(writes, tracked, PAGES, UFFDIO_REGISTER_MODE_WP);
    struct uffdio_writeprotect protect = {.range = {(uint64_t)tracked, PAGES / 4 * TARGET_PAGE}, .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    TARGET_CHECK(ioctl(writes, UFFDIO_WRITEPROTECT, &protect) == 0);
    page_map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    TARGET_CHECK(page_map >= 0);
}

/* Bit 63: there; bit 62: swapped out; bit 57: write-protected. */
static uint64_t entry(const char *page)
{
    uint64_t value;
    TARGET_EQUAL(sizeof(value), pread(page_map, &value, sizeof(value), (off_t)((uintptr_t)page / TARGET_PAGE * sizeof(value))));
    return value;
}

static void check(void)
{
    for (size_t i = 0; i < PAGES; i++)
    {
        char *page = lazy + i * TARGET_PAGE;
        bool there = (entry(page) >> 62) != 0;
        if (there != (has_content(i) || has_zeros(i)))
        {
            target_fail("page %zu is %s", i, there ? "there" : "absent");
        }

        if (has_content(i))
        {
            target_verify(page, TARGET_PAGE, SEED, i * TARGET_PAGE, "content");
        }
        else if (there)
        {
            target_verify_zero(page, TARGET_PAGE, "zeros");
        }

        TARGET_EQUAL(i < PAGES / 4, entry(tracked + i * TARGET_PAGE) >> 57 & 1);
    }

    target_verify(tracked, PAGES * TARGET_PAGE / 2, SEED, 0, "tracked");
}

static void *touch(void *address)
{
    return (void *)(uintptr_t)*(volatile unsigned char *)address;
}

static void *change(void *address)
{
    *(volatile char *)address = 'x';
    return NULL;
}

static struct uffd_msg await(int fd)
{
    struct uffd_msg message;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    TARGET_EQUAL(1, poll(&wait, 1, 10000));
    TARGET_EQUAL(sizeof(message), read(fd, &message, sizeof(message)));
    TARGET_EQUAL(UFFD_EVENT_PAGEFAULT, message.event);
    return message;
}

static void check_faults(pthread_t waiting)
{
    char *awaited = lazy + 2 * TARGET_PAGE;
    TARGET_EQUAL(awaited, await(missing).arg.pagefault.address & ~(TARGET_PAGE - 1));
    give(awaited, 2);
    void *seen;
    TARGET_EQUAL(0, pthread_join(waiting, &seen));
    TARGET_EQUAL(target_byte(SEED, 2 * TARGET_PAGE), (uintptr_t)seen);

    pthread_t thread = target_thread(change, tracked + TARGET_PAGE);
    struct uffd_msg message = await(writes);
    TARGET_EQUAL(tracked + TARGET_PAGE, message.arg.pagefault.address & ~(TARGET_PAGE - 1));
    TARGET_CHECK((message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) != 0);
    struct uffdio_writeprotect open_it = {.range = {(uint64_t)tracked + TARGET_PAGE, TARGET_PAGE}};
    TARGET_CHECK(ioctl(writes, UFFDIO_WRITEPROTECT, &open_it) == 0);
    TARGET_EQUAL(0, pthread_join(thread, NULL));
    TARGET_EQUAL('x', tracked[TARGET_PAGE]);

    /* Neither needs anybody. */
    change(tracked + (PAGES / 4 + 1) * TARGET_PAGE);
    change(lazy + TARGET_PAGE);
    TARGET_EQUAL(-1, read(missing, &message, sizeof(message)));
    TARGET_EQUAL(EAGAIN, errno);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    set_up();
    check();
    pthread_t waiting = target_thread(touch, lazy + 2 * TARGET_PAGE);
    struct pollfd wait = {.fd = missing, .events = POLLIN};
    TARGET_EQUAL(1, poll(&wait, 1, 10000));
    target_ready();
    while (target_running(20))
    {
        check();
        TARGET_EQUAL(1, poll(&wait, 1, 10000));
    }

    check_faults(waiting);
    return target_end();
}
