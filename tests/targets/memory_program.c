/*
 * Kernel object: the executable of a process, where it is a memory file (fexecve of what memfd_create made): /proc/PID/exe, its
 * segments mapped shared and private from an inode without a name, and one more mapping of the whole program.
 */
#include "target.h"

#include <sys/mman.h>

static const char name[] = "a program in memory";

static void become_memory(char **argv)
{
    char self[PATH_MAX + 16];
    uint8_t buffer[65536];
    ssize_t length, end = readlink("/proc/self/exe", self, sizeof(self) - 1);
    TARGET_CHECK(end > 0);
    self[end] = 0;
    if (strstr(self, name) != NULL)
    {
        return;
    }

    int from = open(self, O_RDONLY | O_CLOEXEC), to = memfd_create(name, MFD_CLOEXEC);
    TARGET_CHECK(from >= 0 && to >= 0);
    while ((length = read(from, buffer, sizeof(buffer))) > 0)
    {
        TARGET_EQUAL(length, write(to, buffer, (size_t)length));
    }

    fexecve(to, argv, environ);
    target_fail("cannot run %s: %s", name, strerror(errno));
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    become_memory(argv);
    int fd = open("/proc/self/exe", O_RDONLY);
    struct stat status;
    TARGET_CHECK(fd >= 0 && fstat(fd, &status) == 0);
    uint8_t *program = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    TARGET_CHECK(program != MAP_FAILED && close(fd) == 0);
    uint8_t *copy = malloc((size_t)status.st_size);
    memcpy(copy, program, (size_t)status.st_size);
    target_ready();
    while (target_running(50))
    {
        TARGET_CHECK(memcmp(copy, program, (size_t)status.st_size) == 0);
    }

    fd = open("/proc/self/exe", O_RDONLY);
    struct stat after;
    TARGET_CHECK(fd >= 0 && fstat(fd, &after) == 0);
    TARGET_EQUAL(status.st_size, after.st_size);
    TARGET_CHECK(memcmp(copy, program, (size_t)status.st_size) == 0);
    return target_end();
}
