/*
 * Kernel object: inodes without a name. Deleted files that are open, once and more than once, under one name and under two, mapped
 * shared and private without a descriptor, with holes, with times and an owner; files that never had a name (O_TMPFILE) and
 * those of mkstemp; deleted directories, one of them the working directory, and a file in one; a deleted symbolic link; a
 * deleted file of /dev/shm.
 */
#include "target.h"

#include <sys/mman.h>

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

static int make(const char *path, size_t length, uint32_t seed)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);
    TARGET_CHECK(fd >= 0);
    put(fd, length, seed, 0);
    return fd;
}

/* Open three times, twice by one name. */
#define SIZE (40 * TARGET_PAGE + 99)
static int first, second, by_other_name;

static void set_up_names(void)
{
    struct timespec times[2] = {{1000000000, 5000}, {1100000000, 7000}};
    char other[2 * PATH_MAX];
    strcpy(other, target_file("other name"));
    first = make(target_file("a name, (deleted)"), SIZE, 1);
    TARGET_CHECK(link(target_file("a name, (deleted)"), other) == 0);
    second = open(target_file("a name, (deleted)"), O_RDONLY);
    by_other_name = open(other, O_RDWR | O_APPEND);
    TARGET_CHECK(second >= 0 && by_other_name >= 0);
    TARGET_CHECK(unlink(target_file("a name, (deleted)")) == 0 && unlink(other) == 0);
    TARGET_CHECK(lseek(first, 12345, SEEK_SET) == 12345 && lseek(second, 7, SEEK_SET) == 7);
    TARGET_CHECK(fchown(first, 33, 44) == 0 && fchmod(first, 04751) == 0 && futimens(first, times) == 0);
}

static void check_names(void)
{
    struct stat one, two, three;
    TARGET_CHECK(fstat(first, &one) == 0 && fstat(second, &two) == 0 && fstat(by_other_name, &three) == 0);
    TARGET_EQUAL(one.st_ino, two.st_ino);
    TARGET_EQUAL(one.st_ino, three.st_ino);
    TARGET_EQUAL(0, one.st_nlink);
    TARGET_EQUAL(33, one.st_uid);
    TARGET_EQUAL(44, one.st_gid);
    TARGET_EQUAL(S_IFREG | 04751, one.st_mode);
    TARGET_EQUAL(1100000000, one.st_mtim.tv_sec);
    TARGET_EQUAL(7000, one.st_mtim.tv_nsec);
    TARGET_EQUAL(SIZE, one.st_size);
    TARGET_EQUAL(12345, lseek(first, 0, SEEK_CUR));
    TARGET_EQUAL(7, lseek(second, 0, SEEK_CUR));
    verify(first, SIZE, 1, 0, "deleted file");
}

/* Holes stay holes. */
static int sparse;
static struct stat sparse_before;

static void set_up_sparse(void)
{
    sparse = make(target_file("sparse"), TARGET_PAGE, 2);
    put(sparse, 2 * TARGET_PAGE, 2, 100UL << 20);
    TARGET_CHECK(ftruncate(sparse, 300L << 20) == 0);
    TARGET_CHECK(fsync(sparse) == 0 && fstat(sparse, &sparse_before) == 0);
    TARGET_CHECK(unlink(target_file("sparse")) == 0);
}

static void check_sparse(void)
{
    struct stat status;
    TARGET_CHECK(fstat(sparse, &status) == 0);
    TARGET_EQUAL(300L << 20, status.st_size);
    verify(sparse, TARGET_PAGE, 2, 0, "sparse file");
    verify(sparse, 2 * TARGET_PAGE, 2, 100UL << 20, "sparse file");
    TARGET_CHECK(status.st_blocks <= sparse_before.st_blocks + 64);
}

/* Mappings alone hold the file. */
static uint8_t *shared, *private, *in_memory;

static void set_up_mappings(void)
{
    char path[64];
    int fd = make(target_file("mapped"), 8 * TARGET_PAGE, 3);
    shared = mmap(NULL, 8 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    private = mmap(NULL, 8 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    TARGET_CHECK(shared != MAP_FAILED && private != MAP_FAILED);
    target_fill(shared + TARGET_PAGE, 100, 30, 0);
    target_fill(private + 2 * TARGET_PAGE, TARGET_PAGE, 31, 0);
    TARGET_CHECK(close(fd) == 0 && unlink(target_file("mapped")) == 0);

    snprintf(path, sizeof(path), "/dev/shm/criups.%d", getpid());
    fd = make(path, 4 * TARGET_PAGE, 4);
    in_memory = mmap(NULL, 4 * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TARGET_CHECK(in_memory != MAP_FAILED && close(fd) == 0 && unlink(path) == 0);
}

static void check_mappings(void)
{
    static uint8_t counter;
    target_verify(shared, TARGET_PAGE, 3, 0, "shared mapping of a deleted file");
    target_verify(shared + TARGET_PAGE, 100, 30, 0, "shared mapping of a deleted file");
    target_verify(private + 2 * TARGET_PAGE, TARGET_PAGE, 31, 0, "private copy of a deleted file");
    target_verify(private + 3 * TARGET_PAGE, 4 * TARGET_PAGE, 3, 3 * TARGET_PAGE, "private mapping of a deleted file");
    shared[7 * TARGET_PAGE] = ++counter;
    TARGET_EQUAL(counter, private[7 * TARGET_PAGE]);
    target_verify(in_memory, 4 * TARGET_PAGE, 4, 0, "deleted file of /dev/shm");
}

/* Files whose names never mattered. */
static int nameless, temporary;

static void set_up_temporary(void)
{
    nameless = open(target_folder(), O_TMPFILE | O_RDWR | O_APPEND, 0600);
    TARGET_CHECK(nameless >= 0 || errno == EOPNOTSUPP);
    char path[2 * PATH_MAX];
    strcpy(path, target_file("XXXXXX"));
    temporary = mkostemp(path, O_CLOEXEC);
    TARGET_CHECK(temporary >= 0 && unlink(path) == 0);
    put(temporary, 3 * TARGET_PAGE, 6, 0);
    if (nameless >= 0)
    {
        put(nameless, 5, 5, 0);
    }
}

static void check_temporary(void)
{
    verify(temporary, 3 * TARGET_PAGE, 6, 0, "temporary file");
    if (nameless >= 0)
    {
        TARGET_EQUAL(O_APPEND | O_RDWR, fcntl(nameless, F_GETFL) & (O_APPEND | O_ACCMODE));
        verify(nameless, 5, 5, 0, "file without a name");
    }
}

/* A directory that is gone, one more in which we are, a file in the first, and a link. */
static int directory, in_directory, symbolic;

static void set_up_directories(void)
{
    char gone[2 * PATH_MAX], here[2 * PATH_MAX], file[3 * PATH_MAX];
    strcpy(gone, target_file("gone"));
    strcpy(here, target_file("here"));
    snprintf(file, sizeof(file), "%s/file", gone);
    TARGET_CHECK(mkdir(gone, 0711) == 0 && mkdir(here, 0700) == 0 && chdir(here) == 0);
    in_directory = make(file, 10, 7);
    directory = open(gone, O_RDONLY | O_DIRECTORY);
    TARGET_CHECK(directory >= 0 && unlink(file) == 0 && rmdir(gone) == 0 && rmdir(here) == 0);
    TARGET_CHECK(symlink("where it leads", target_file("link")) == 0);
    symbolic = open(target_file("link"), O_PATH | O_NOFOLLOW);
    TARGET_CHECK(symbolic >= 0 && unlink(target_file("link")) == 0);
}

static void check_directories(void)
{
    struct stat status;
    char text[64];
    TARGET_CHECK(fstat(directory, &status) == 0);
    TARGET_EQUAL(S_IFDIR | 0711, status.st_mode);
    TARGET_EQUAL(0, status.st_nlink);
    TARGET_CHECK(openat(directory, "file", O_RDONLY) == -1 && errno == ENOENT);
    TARGET_CHECK(getcwd(text, sizeof(text)) == NULL && errno == ENOENT);
    verify(in_directory, 10, 7, 0, "file of a directory that is gone");
    TARGET_EQUAL(14, readlinkat(symbolic, "", text, sizeof(text)));
    TARGET_CHECK(memcmp(text, "where it leads", 14) == 0);
}

static void check(void)
{
    check_names();
    check_sparse();
    check_mappings();
    check_temporary();
    check_directories();
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    set_up_names();
    set_up_sparse();
    set_up_mappings();
    set_up_temporary();
    set_up_directories();
    check();

    target_ready();
    while (target_running(50))
    {
        check();
    }

    check();
    TARGET_EQUAL(4, write(by_other_name, "tail", 4));
    return target_end();
}
