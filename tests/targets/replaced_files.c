/*
 * Kernel object: inodes that have lost the name by which they are open. A file in whose place there is another one, as after an
 * update; a file that has another name left, which must stay the same file; and the program itself, which runs from a copy
 * that it has deleted.
 */
#include "target.h"

#include <sys/mman.h>

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0640);
    TARGET_CHECK(fd >= 0);
    TARGET_EQUAL(strlen(text), write(fd, text, strlen(text)));
    TARGET_CHECK(close(fd) == 0);
}

static void verify(int fd, const char *text)
{
    char found[100] = "";
    TARGET_EQUAL(strlen(text), pread(fd, found, sizeof(found) - 1, 0));
    if (strcmp(found, text) != 0)
    {
        target_fail("'%s' is read, not '%s'", found, text);
    }
}

/* The program becomes a copy of itself. */
static void become_a_copy(char **argv)
{
    static char copy[PATH_MAX + 16];
    char self[PATH_MAX + 16];
    uint8_t buffer[65536];
    ssize_t length;

    snprintf(copy, sizeof(copy), "%s.program", argv[1]);
    ssize_t end = readlink("/proc/self/exe", self, sizeof(self) - 1);
    TARGET_CHECK(end > 0);
    self[end] = 0;
    if (strstr(self, ".program") != NULL)
    {
        TARGET_CHECK(unlink(copy) == 0);
        return;
    }

    int from = open(self, O_RDONLY | O_CLOEXEC), to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    TARGET_CHECK(from >= 0 && to >= 0);
    while ((length = read(from, buffer, sizeof(buffer))) > 0)
    {
        TARGET_EQUAL(length, write(to, buffer, (size_t)length));
    }

    TARGET_CHECK(close(to) == 0);
    execv(copy, argv);
    target_fail("cannot run %s: %s", copy, strerror(errno));
}

static int old_version, linked, mapped_too;
static char *view;
static char other_name[2 * PATH_MAX];

static void set_up(void)
{
    char new_version[2 * PATH_MAX];
    strcpy(new_version, target_file("new"));
    put(target_file("library"), "old version");
    put(new_version, "the new version");
    old_version = open(target_file("library"), O_RDONLY);
    TARGET_CHECK(old_version >= 0 && rename(new_version, target_file("library")) == 0);

    strcpy(other_name, target_file("other name"));
    put(target_file("name"), "linked");
    TARGET_CHECK(link(target_file("name"), other_name) == 0);
    linked = open(target_file("name"), O_RDWR);
    mapped_too = open(target_file("name"), O_RDWR | O_APPEND);
    view = mmap(NULL, TARGET_PAGE, PROT_READ, MAP_SHARED, linked, 0);
    TARGET_CHECK(linked >= 0 && mapped_too >= 0 && view != MAP_FAILED && unlink(target_file("name")) == 0);
}

static void check(void)
{
    struct stat status, other;
    int fd = open(target_file("library"), O_RDONLY);
    TARGET_CHECK(fd >= 0);
    verify(fd, "the new version");
    TARGET_CHECK(close(fd) == 0);
    verify(old_version, "old version");
    TARGET_CHECK(fstat(old_version, &status) == 0);
    TARGET_EQUAL(0, status.st_nlink);

    TARGET_CHECK(access(target_file("name"), F_OK) == -1 && errno == ENOENT);
    TARGET_CHECK(fstat(linked, &status) == 0 && stat(other_name, &other) == 0);
    TARGET_EQUAL(other.st_ino, status.st_ino);
    TARGET_EQUAL(1, status.st_nlink);
    TARGET_CHECK(fstat(mapped_too, &other) == 0);
    TARGET_EQUAL(status.st_ino, other.st_ino);
    verify(linked, "linked");
    TARGET_CHECK(strcmp(view, "linked") == 0);
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    become_a_copy(argv);
    set_up();
    check();
    target_ready();
    while (target_running(50))
    {
        check();
    }

    check();
    TARGET_EQUAL(6, pwrite(linked, "LINKED", 6, 0));
    int fd = open(other_name, O_RDONLY);
    TARGET_CHECK(fd >= 0);
    verify(fd, "LINKED");
    return target_end();
}
