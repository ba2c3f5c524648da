/*
 * Memory of huge pages: private and shared, read-only, with holes, reserved and not, memory files with seals that are mapped both ways, and a file of a file
 * system of huge pages where HUGE_FOLDER names one.
 */
#include "target.h"
#include <sys/mman.h>

#define HUGE (2UL << 20)

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_GROW 4
#endif

static char *private_pages, *read_only, *unreserved, *shared_pages, *file_shared, *file_private, *mounted;
static int memory_file = -1, mounted_file = -1;

static char *map(size_t length, int flags, int fd)
{
    char *at = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);
    TARGET_CHECK(at != MAP_FAILED);
    return at;
}

static void fill(void)
{
    private_pages = map(2 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
    target_fill(private_pages + HUGE + 5 * TARGET_PAGE, 3 * TARGET_PAGE, 1, 0);
    read_only = map(HUGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
    target_fill(read_only, TARGET_PAGE, 2, 0);
    TARGET_CHECK(mprotect(read_only, HUGE, PROT_READ) == 0);
    unreserved = map(64 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1);
    target_fill(unreserved + 63 * HUGE, TARGET_PAGE, 3, 0);
    shared_pages = map(3 * HUGE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1);
    target_fill(shared_pages + HUGE - TARGET_PAGE, 2 * TARGET_PAGE, 4, 0);
    memory_file = memfd_create("huge", MFD_HUGETLB | MFD_ALLOW_SEALING);
    TARGET_CHECK(memory_file >= 0 && ftruncate(memory_file, 2 * HUGE) == 0);
    file_shared = map(2 * HUGE, MAP_SHARED, memory_file);
    target_fill(file_shared, 2 * HUGE, 5, 0);
    file_private = map(2 * HUGE, MAP_PRIVATE, memory_file);
    target_fill(file_private + HUGE, TARGET_PAGE, 6, 0);
    TARGET_CHECK(fcntl(memory_file, F_ADD_SEALS, F_SEAL_GROW) == 0 && lseek(memory_file, 77, SEEK_SET) == 77);
    if (getenv("HUGE_FOLDER") != NULL)
    {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/file", getenv("HUGE_FOLDER"));
        mounted_file = open(path, O_RDWR | O_CREAT, 0600);
        TARGET_CHECK(mounted_file >= 0 && ftruncate(mounted_file, HUGE) == 0);
        mounted = map(HUGE, MAP_SHARED, mounted_file);
        target_fill(mounted, TARGET_PAGE, 7, 0);
    }
}

static void verify(void)
{
    target_verify_zero(private_pages + HUGE, 5 * TARGET_PAGE, "private");
    target_verify(private_pages + HUGE + 5 * TARGET_PAGE, 3 * TARGET_PAGE, 1, 0, "private");
    target_verify(read_only, TARGET_PAGE, 2, 0, "read-only");
    target_verify(unreserved + 63 * HUGE, TARGET_PAGE, 3, 0, "unreserved");
    target_verify_zero(shared_pages, HUGE - TARGET_PAGE, "shared");
    target_verify(shared_pages + HUGE - TARGET_PAGE, 2 * TARGET_PAGE, 4, 0, "shared");
    target_verify(file_shared, 2 * HUGE, 5, 0, "memory file");
    target_verify(file_private, HUGE, 5, 0, "memory file, private");
    target_verify(file_private + HUGE, TARGET_PAGE, 6, 0, "memory file, private");
    TARGET_EQUAL(F_SEAL_GROW, fcntl(memory_file, F_GET_SEALS));
    TARGET_EQUAL(77, lseek(memory_file, 0, SEEK_CUR));
    struct stat status;
    TARGET_CHECK(fstat(memory_file, &status) == 0);
    TARGET_EQUAL(2 * HUGE, status.st_size);
    TARGET_EQUAL(HUGE, status.st_blksize);
    if (mounted != NULL)
    {
        target_verify(mounted, TARGET_PAGE, 7, 0, "file");
    }
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    fill();
    target_ready();
    while (target_running(20))
    {
        verify();
    }

    /* Memory and file are one still, and what was reserved is there. */
    char byte;
    file_shared[3] ^= 1;
    TARGET_CHECK(pread(memory_file, &byte, 1, 3) == 1 && byte == file_shared[3]);
    memset(private_pages, 1, 2 * HUGE);
    memset(shared_pages, 1, 3 * HUGE);
    return target_end();
}
