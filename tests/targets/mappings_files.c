/*
 * Kernel object: vm_area_structs of regular files, private and shared. Pages that a private mapping copied (also ones that
 * became read-only afterwards, as RELRO does), untouched pages that must still show the file, offsets, the page that the
 * file ends in, pages beyond its end, one file mapped several times, shared mappings whose writes must reach the file,
 * mappings that must never become writable because the file was opened read-only, and code of a file.
 */
#include "target.h"

#include <elf.h>
#include <link.h>
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/mman.h>

enum { file_pages = 64, tail = 1234, file_size = file_pages * 4096 + tail };

static int data_file = -1, shared_file = -1;

static int make_file(const char *name, uint32_t seed)
{
    static uint8_t content[file_size];
    int file = open(target_file(name), O_RDWR | O_CREAT | O_TRUNC, 0644);
    TARGET_CHECK(file >= 0);
    target_fill(content, sizeof(content), seed, 0);
    TARGET_EQUAL(sizeof(content), write(file, content, sizeof(content)));
    return file;
}

static uint8_t *map(size_t pages, int protection, int flags, int file, size_t page)
{
    uint8_t *at = mmap(NULL, pages * TARGET_PAGE, protection, flags, file, (off_t)(page * TARGET_PAGE));
    TARGET_CHECK(at != MAP_FAILED);
    return at;
}

static sigjmp_buf fault;

static void on_fault(int signal)
{
    (void)signal;
    siglongjmp(fault, 1);
}

/* Reading a page behind the end of a file raises SIGBUS (mmap(2)). */
static void check_bus_error(const uint8_t *at)
{
    if (sigsetjmp(fault, 1) == 0)
    {
        (void)*(const volatile uint8_t *)at;
        target_fail("%p behind the end of its file can be read", (const void *)at);
    }
}

/* Private: every third page copied, with other content than the file's. */
static uint8_t *copied, *copied_read_only, *beyond;

static void set_up_private(void)
{
    copied = map(32, PROT_READ | PROT_WRITE, MAP_PRIVATE, data_file, 7);
    copied_read_only = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE, data_file, 3);
    for (size_t page = 0; page < 32; page += 3)
    {
        target_fill(copied + page * TARGET_PAGE, TARGET_PAGE, 20, page);
    }
    target_fill(copied_read_only + TARGET_PAGE, TARGET_PAGE, 21, 0);
    TARGET_CHECK(mprotect(copied_read_only, 4 * TARGET_PAGE, PROT_READ) == 0);

    /* Two pages before the file's end, the page of the end itself, written behind the end, and three beyond. */
    beyond = map(6, PROT_READ | PROT_WRITE, MAP_PRIVATE, data_file, file_pages - 2);
    target_fill(beyond + 2 * TARGET_PAGE + tail, 100, 22, 0);
}

static void check_private(void)
{
    for (size_t page = 0; page < 32; page++)
    {
        const uint8_t *at = copied + page * TARGET_PAGE;
        if (page % 3 == 0)
        {
            target_verify(at, TARGET_PAGE, 20, page, "copied page of a private mapping");
        }
        else
        {
            target_verify(at, TARGET_PAGE, 1, (page + 7) * TARGET_PAGE, "file page of a private mapping");
        }
    }

    target_verify(copied_read_only, TARGET_PAGE, 1, 3 * TARGET_PAGE, "page before a read-only copy");
    target_verify(copied_read_only + TARGET_PAGE, TARGET_PAGE, 21, 0, "read-only copy");
    target_verify(copied_read_only + 2 * TARGET_PAGE, 2 * TARGET_PAGE, 1, 5 * TARGET_PAGE, "pages after a read-only copy");

    target_verify(beyond, 2 * TARGET_PAGE + tail, 1, (file_pages - 2) * TARGET_PAGE, "private end of the file");
    target_verify(beyond + 2 * TARGET_PAGE + tail, 100, 22, 0, "private copy behind the end of the file");
    target_verify_zero(beyond + 2 * TARGET_PAGE + tail + 100, TARGET_PAGE - tail - 100, "rest of the last page");
    check_bus_error(beyond + 3 * TARGET_PAGE);
    check_bus_error(beyond + 5 * TARGET_PAGE);
}

/* Shared: two windows on the same pages, and one that was opened for reading only. */
static uint8_t *window, *second_window, *read_only_window, *beyond_shared;

static void set_up_shared(void)
{
    int reader = open(target_file("shared"), O_RDONLY);
    TARGET_CHECK(reader >= 0);
    window = map(16, PROT_READ | PROT_WRITE, MAP_SHARED, shared_file, 0);
    second_window = map(8, PROT_READ | PROT_WRITE, MAP_SHARED, shared_file, 4);
    read_only_window = map(8, PROT_READ, MAP_SHARED, reader, 2);
    beyond_shared = map(4, PROT_READ | PROT_WRITE, MAP_SHARED, shared_file, file_pages - 1);
    TARGET_CHECK(close(reader) == 0);
    target_fill(window + 5 * TARGET_PAGE, TARGET_PAGE, 30, 0);
}

static void check_shared(void)
{
    static uint32_t counter = 1;
    uint32_t found;

    /* What goes in through one window comes out of the others and of the file. */
    memcpy(window + 6 * TARGET_PAGE + 8, &counter, sizeof(counter));
    memcpy(&found, second_window + 2 * TARGET_PAGE + 8, sizeof(found));
    TARGET_EQUAL(counter, found);
    memcpy(&found, read_only_window + 4 * TARGET_PAGE + 8, sizeof(found));
    TARGET_EQUAL(counter, found);
    TARGET_EQUAL(sizeof(found), pread(shared_file, &found, sizeof(found), 6 * TARGET_PAGE + 8));
    TARGET_EQUAL(counter, found);
    counter++;

    target_verify(window, 5 * TARGET_PAGE, 2, 0, "shared mapping");
    target_verify(second_window + TARGET_PAGE, TARGET_PAGE, 30, 0, "shared page written through another mapping");
    target_verify(read_only_window + 3 * TARGET_PAGE, TARGET_PAGE, 30, 0, "shared read-only mapping");
    target_verify(beyond_shared, TARGET_PAGE + tail, 2, (file_pages - 1) * TARGET_PAGE, "shared end of the file");
    check_bus_error(beyond_shared + 2 * TARGET_PAGE);
    TARGET_CHECK(mprotect(read_only_window, 8 * TARGET_PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
}

/* The program's own RELRO segment: relocated, then write-protected by the loader. */
extern char **environ;
static void *const relocated __attribute__((section(".data.rel.ro"), used)) = (void *)&environ;

static int check_objects(struct dl_phdr_info *info, size_t size, void *checksum)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
    {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        const uint8_t *from = (const uint8_t *)info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_GNU_RELRO || (header->p_type == PT_LOAD && !(header->p_flags & PF_W)))
        {
            for (size_t n = 0; n < header->p_memsz; n++)
            {
                *(uint64_t *)checksum = (*(uint64_t *)checksum ^ from[n]) * 1099511628211u;
            }
        }
    }
    return 0;
}

/* A checksum of everything read-only in the program, its libraries and the vDSO. */
static uint64_t checksum_of_program(void)
{
    uint64_t checksum = 14695981039346656037u;
    dl_iterate_phdr(check_objects, &checksum);
    return checksum;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_fault};

    target_begin(argc, argv);
    TARGET_CHECK(sigaction(SIGBUS, &action, NULL) == 0);
    data_file = make_file("data", 1);
    shared_file = make_file("shared", 2);
    set_up_private();
    set_up_shared();
    /* A mapping that outlives its descriptor and holds no copy. */
    uint8_t *untouched = map(20, PROT_READ, MAP_PRIVATE, data_file, 11);
    TARGET_CHECK(close(data_file) == 0);
    check_private();
    check_shared();
    uint64_t checksum = checksum_of_program();

    target_ready();
    while (target_running(50))
    {
        check_private();
        check_shared();
        TARGET_CHECK(*(void *const volatile *)&relocated == (void *)&environ);
        TARGET_EQUAL(checksum, checksum_of_program());
    }

    check_private();
    check_shared();
    target_verify(untouched, 20 * TARGET_PAGE, 1, 11 * TARGET_PAGE, "untouched private mapping");
    TARGET_CHECK(mprotect(copied_read_only, 4 * TARGET_PAGE, PROT_READ | PROT_WRITE) == 0);
    return target_end();
}
