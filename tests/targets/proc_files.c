/*
 * Open files of /proc: about the program itself, its threads and the whole system, under the names that the kernel gives them.
 */
#include "target.h"

struct open_file
{
    const char *path;
    int flags;
    off_t position;
    int fd;
    char link[PATH_MAX];
};

static struct open_file files[] = {
    {"/proc/self/maps", O_RDONLY, 0, -1, ""},
    {"/proc/self/status", O_RDONLY | O_CLOEXEC, 100, -1, ""},
    {"/proc/thread-self/comm", O_RDWR, 0, -1, ""},
    {"/proc/net/protocols", O_RDONLY, 0, -1, ""},
    {"/proc/sys/kernel/ostype", O_RDONLY, 2, -1, ""},
    {"/proc/version", O_RDONLY, 0, -1, ""},
    {"/proc/self/fd", O_RDONLY | O_DIRECTORY, 0, -1, ""},
    {"/proc/self/exe", O_PATH | O_NOFOLLOW, 0, -1, ""},
};

/* What can only be there when the first of the files and the mapping are. */
static int descriptor_file, mapping_file;
static char mapping_link[PATH_MAX];

static atomic_int thread_file = -1;
static atomic_int thread_id;

static void link_of(int fd, char *link)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, link, PATH_MAX - 1);
    TARGET_CHECK(length > 0);
    link[length] = 0;

    /* What the kernel says behind some names of /proc/PID/net is not part of them. */
    char *deleted = strstr(link, " (deleted)");
    if (deleted != NULL)
    {
        *deleted = 0;
    }
}

static void *run_thread(void *unused)
{
    (void)unused;
    atomic_store(&thread_id, (int)syscall(SYS_gettid));
    atomic_store(&thread_file, open("/proc/thread-self/stat", O_RDONLY));
    for (;;)
    {
        pause();
    }

    return NULL;
}

static void check_thread(void)
{
    char text[64] = "";
    TARGET_CHECK(pread(thread_file, text, sizeof(text) - 1, 0) > 0);
    TARGET_EQUAL(thread_id, atoi(text));
}

static void check_memory_map(void)
{
    static char text[1 << 16];
    TARGET_EQUAL(0, lseek(files[0].fd, 0, SEEK_SET));
    size_t length = 0;
    for (ssize_t part; (part = read(files[0].fd, text + length, sizeof(text) - 1 - length)) > 0;)
    {
        length += (size_t)part;
    }

    text[length] = 0;
    TARGET_EQUAL(0, lseek(files[0].fd, 0, SEEK_SET));
    unsigned long page = (unsigned long)text & ~(TARGET_PAGE - 1);
    bool found = false;
    for (char *at = text; at != NULL && !found; at = strchr(at, '\n') == NULL ? NULL : strchr(at, '\n') + 1)
    {
        unsigned long start, end;
        found = sscanf(at, "%lx-%lx", &start, &end) == 2 && start <= page && page < end;
    }

    TARGET_CHECK(found);
}

static void open_objects(void)
{
    char path[64], line[PATH_MAX];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", files[1].fd);
    descriptor_file = open(path, O_RDONLY);
    TARGET_CHECK(descriptor_file >= 0);
    TARGET_EQUAL(3, lseek(descriptor_file, 3, SEEK_SET));

    /* The first mapping of a program is one of its file. */
    TARGET_CHECK(pread(files[0].fd, line, sizeof(line) - 1, 0) > 0);
    unsigned long start, end;
    TARGET_CHECK(sscanf(line, "%lx-%lx", &start, &end) == 2);
    snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", start, end);
    mapping_file = open(path, O_PATH | O_NOFOLLOW);
    TARGET_CHECK(mapping_file >= 0);
    link_of(mapping_file, mapping_link);
}

static void check_objects(void)
{
    char link[PATH_MAX], text[64] = "";
    TARGET_EQUAL(3, lseek(descriptor_file, 0, SEEK_CUR));
    TARGET_CHECK(pread(descriptor_file, text, sizeof(text) - 1, 0) > 0);
    TARGET_CHECK(strncmp(text, "pos:\t100\n", 9) == 0);
    link_of(mapping_file, link);
    TARGET_CHECK(strcmp(link, mapping_link) == 0);
}

static void check(void)
{
    for (size_t i = 0; i < TARGET_COUNT(files); i++)
    {
        char link[PATH_MAX];
        link_of(files[i].fd, link);
        TARGET_CHECK(strcmp(link, files[i].link) == 0);
        if ((files[i].flags & O_PATH) == 0)
        {
            TARGET_EQUAL(files[i].position, lseek(files[i].fd, 0, SEEK_CUR));
        }
    }

    char text[64] = "";
    TARGET_CHECK(pread(files[4].fd, text, 5, 0) == 5 && memcmp(text, "Linux", 5) == 0);
    TARGET_CHECK(pread(files[1].fd, text, 5, 0) == 5 && memcmp(text, "Name:", 5) == 0);
    TARGET_EQUAL(4, write(files[2].fd, "name", 4));
    TARGET_CHECK(faccessat(files[6].fd, "0", F_OK, 0) == 0);
    check_memory_map();
    check_thread();
    check_objects();
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    for (size_t i = 0; i < TARGET_COUNT(files); i++)
    {
        files[i].fd = open(files[i].path, files[i].flags);
        TARGET_CHECK(files[i].fd >= 0);
        link_of(files[i].fd, files[i].link);
        if (files[i].position > 0)
        {
            TARGET_EQUAL(files[i].position, lseek(files[i].fd, files[i].position, SEEK_SET));
        }
    }

    open_objects();
    target_thread(run_thread, NULL);
    while (thread_file < 0)
    {
        usleep(1000);
    }

    check();
    target_ready();
    while (target_running(50))
    {
        check();
    }

    check();
    return target_end();
}
