/*
 * Kernel object: memory files (memfd_create), inodes with a name for people, seals, a mode, an owner and a size. Several open files
 * on one object with positions of their own, mappings shared and private, with and without a descriptor, every seal with what
 * it forbids and what it still allows, code written through one mapping and run in another, holes, bytes behind the end, an empty
 * file.
 */
#include "target.h"

#include <sys/mman.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

static int reopen(int fd, int flags)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int other = open(path, flags);
    TARGET_CHECK(other >= 0);
    return other;
}

static int make(const char *name, unsigned flags, size_t size)
{
    int fd = memfd_create(name, flags);
    TARGET_CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    return fd;
}

static uint8_t *map(size_t length, int protection, int flags, int fd)
{
    void *at = mmap(NULL, length, protection, flags, fd, 0);
    TARGET_CHECK(at != MAP_FAILED);
    return at;
}

static void put(int fd, size_t length, uint32_t seed, size_t at)
{
    uint8_t *content = malloc(length);
    target_fill(content, length, seed, at);
    TARGET_EQUAL(length, pwrite(fd, content, length, (off_t)at));
    free(content);
}

static void verify(int fd, size_t length, uint32_t seed, size_t at, const char *what)
{
    uint8_t *content = malloc(length);
    TARGET_EQUAL(length, pread(fd, content, length, (off_t)at));
    target_verify(content, length, seed, at, what);
    free(content);
}

/* Descriptors: the one that made it, a copy of its number, and open files of their own. */
#define SIZE (9 * TARGET_PAGE + 123)
static int own, copy, reader, appender, named_only;

static void set_up_descriptors(void)
{
    own = make("descriptors, with blanks: and a colon (deleted)", 0, SIZE);
    put(own, SIZE, 1, 0);
    copy = dup(own);
    reader = reopen(own, O_RDONLY | O_CLOEXEC);
    appender = reopen(own, O_WRONLY | O_APPEND | O_NONBLOCK);
    named_only = reopen(own, O_PATH);
    TARGET_CHECK(lseek(own, 1000, SEEK_SET) == 1000 && lseek(reader, 77, SEEK_SET) == 77);
    TARGET_CHECK(fchmod(own, 0640) == 0 && fchown(own, 1234, 5678) == 0);
}

static void check_descriptors(void)
{
    struct stat status, other;
    TARGET_EQUAL(1000, lseek(own, 0, SEEK_CUR));
    TARGET_EQUAL(1000, lseek(copy, 0, SEEK_CUR));
    TARGET_EQUAL(77, lseek(reader, 0, SEEK_CUR));
    TARGET_EQUAL(O_RDWR, fcntl(own, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    TARGET_EQUAL(O_WRONLY | O_APPEND | O_NONBLOCK, fcntl(appender, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    TARGET_EQUAL(O_PATH, fcntl(named_only, F_GETFL) & O_PATH);
    TARGET_EQUAL(FD_CLOEXEC, fcntl(reader, F_GETFD));
    TARGET_CHECK(fstat(own, &status) == 0 && fstat(named_only, &other) == 0);
    TARGET_EQUAL(status.st_ino, other.st_ino);
    TARGET_EQUAL(SIZE, status.st_size);
    TARGET_EQUAL(S_IFREG | 0640, status.st_mode);
    TARGET_EQUAL(1234, status.st_uid);
    TARGET_EQUAL(5678, status.st_gid);
    verify(reader, SIZE, 1, 0, "memory file");
    TARGET_EQUAL(F_SEAL_SEAL, fcntl(own, F_GET_SEALS));
    TARGET_CHECK(fcntl(own, F_ADD_SEALS, F_SEAL_GROW) == -1 && errno == EPERM);
}

static void check_append(void)
{
    struct stat status;
    TARGET_EQUAL(3, write(appender, "end", 3));
    TARGET_CHECK(fstat(reader, &status) == 0);
    TARGET_EQUAL(SIZE + 3, status.st_size);
}

/* Sealed against everything, with the mappings that this allows. */
static int sealed;
static uint8_t *sealed_view, *sealed_copy;

static void set_up_sealed(void)
{
    sealed = make("sealed", MFD_ALLOW_SEALING, 8 * TARGET_PAGE);
    put(sealed, 8 * TARGET_PAGE, 2, 0);
    TARGET_CHECK(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) == 0);
    int fd = reopen(sealed, O_RDONLY);
    sealed_view = map(8 * TARGET_PAGE, PROT_READ, MAP_SHARED, fd);
    TARGET_CHECK(close(fd) == 0);
    sealed_copy = map(8 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, sealed);
    target_fill(sealed_copy + 3 * TARGET_PAGE, 100, 20, 0);
}

static void check_sealed(void)
{
    TARGET_EQUAL(F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK, fcntl(sealed, F_GET_SEALS));
    TARGET_CHECK(write(sealed, "x", 1) == -1 && errno == EPERM);
    TARGET_CHECK(ftruncate(sealed, 0) == -1 && errno == EPERM);
    TARGET_CHECK(mmap(NULL, TARGET_PAGE, PROT_WRITE, MAP_SHARED, sealed, 0) == MAP_FAILED);
    TARGET_CHECK(mprotect(sealed_view, TARGET_PAGE, PROT_READ | PROT_WRITE) == -1);
    target_verify(sealed_view, 8 * TARGET_PAGE, 2, 0, "view of a sealed file");
    target_verify(sealed_copy, 3 * TARGET_PAGE, 2, 0, "private mapping of a sealed file");
    target_verify(sealed_copy + 3 * TARGET_PAGE, 100, 20, 0, "private copy");
    target_verify(sealed_copy + 4 * TARGET_PAGE, 4 * TARGET_PAGE, 2, 4 * TARGET_PAGE, "private mapping of a sealed file");
}

/* No new writers, but the old one goes on; and a file that can never be executed. */
static int future, plain;
static uint8_t *future_writer;
static bool has_exec_seal;

static void set_up_other_seals(void)
{
    future = make("future", MFD_ALLOW_SEALING, 4 * TARGET_PAGE);
    future_writer = map(4 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, future);
    TARGET_CHECK(fcntl(future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0);
    target_fill(future_writer, TARGET_PAGE, 3, 0);
    plain = memfd_create("never executable", MFD_NOEXEC_SEAL);
    has_exec_seal = plain >= 0;
    TARGET_CHECK(has_exec_seal || errno == EINVAL); /* before Linux 6.3 */
}

static void check_other_seals(void)
{
    struct stat status;
    static uint8_t counter;
    future_writer[2 * TARGET_PAGE] = ++counter;
    uint8_t found;
    TARGET_EQUAL(1, pread(future, &found, 1, 2 * TARGET_PAGE));
    TARGET_EQUAL(counter, found);
    TARGET_CHECK(write(future, "x", 1) == -1 && errno == EPERM);
    TARGET_CHECK(mmap(NULL, TARGET_PAGE, PROT_WRITE, MAP_SHARED, future, 0) == MAP_FAILED && errno == EPERM);
    TARGET_CHECK(fcntl(future, F_ADD_SEALS, F_SEAL_GROW) == -1 && errno == EPERM);
    verify(future, TARGET_PAGE, 3, 0, "file sealed against future writes");
    if (has_exec_seal)
    {
        TARGET_EQUAL(F_SEAL_EXEC, fcntl(plain, F_GET_SEALS));
        TARGET_CHECK(fstat(plain, &status) == 0);
        TARGET_EQUAL(S_IFREG | 0666, status.st_mode);
        TARGET_CHECK(fchmod(plain, 0755) == -1 && errno == EPERM);
        TARGET_EQUAL(0, status.st_size);
    }
}

/* Code is written through one mapping and run in another, which no descriptor leads to any more. */
static uint8_t *code_writer;
static int (*code)(void);

static void set_up_code(void)
{
    static const uint8_t bytes[] = {0xb8, 11, 0, 0, 0, 0xc3}; /* mov $11, %eax; ret */
    int fd = make("", 0, 1UL << 30);
    code_writer = map(16 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    code = (int (*)(void))(uintptr_t)map(16 * TARGET_PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd);
    memcpy(code_writer, bytes, sizeof(bytes));
    TARGET_CHECK(close(fd) == 0);
}

static void check_code(void)
{
    code_writer[1]++;
    TARGET_EQUAL(code_writer[1], code());
}

/* A file of a few bytes whose whole page is used. */
static uint8_t *beyond;

static void set_up_beyond(void)
{
    int fd = make("beyond", 0, 10);
    beyond = map(TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    target_fill(beyond, TARGET_PAGE, 8, 0);
    TARGET_CHECK(close(fd) == 0);
}

/* A large file of holes. */
static int sparse;
static const size_t far = 3UL << 30;

static void set_up_sparse(void)
{
    sparse = make("sparse", 0, far + 5 * TARGET_PAGE);
    put(sparse, 2 * TARGET_PAGE, 4, far);
}

static void check_sparse(void)
{
    struct stat status;
    TARGET_CHECK(fstat(sparse, &status) == 0);
    TARGET_EQUAL(2 * TARGET_PAGE / 512, status.st_blocks);
    verify(sparse, 2 * TARGET_PAGE, 4, far, "far end of a sparse file");
}

static void check(void)
{
    check_descriptors();
    check_sealed();
    check_other_seals();
    check_code();
    target_verify(beyond, TARGET_PAGE, 8, 0, "page of which the file has a few bytes");
    check_sparse();
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    set_up_descriptors();
    set_up_sealed();
    set_up_other_seals();
    set_up_code();
    set_up_beyond();
    set_up_sparse();
    check();

    target_ready();
    while (target_running(50))
    {
        check();
    }

    check();
    check_append();
    return target_end();
}
