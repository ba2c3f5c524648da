/*
 * Kernel object: struct file and the descriptor table. Regular files with all flags that stay, positions, O_APPEND, a hole, O_PATH,
 * directories in the middle of their entries, one description under several numbers, close-on-exec, high numbers, devices of
 * memory, files reached by a symbolic link, files nobody may read any more, and who is told (F_SETOWN, F_SETSIG).
 */
#include "target.h"

#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

enum { entries = 200, most = 64 };

#ifndef F_SETOWN_EX
#define F_SETOWN_EX 15
#define F_GETOWN_EX 16
#endif

struct file
{
    int fd, flags, descriptor_flags, signal;
    off_t position;
    dev_t device;
    ino_t inode;
    mode_t mode;
    struct f_owner_ex owner;
};

static struct file files[most];
static int file_count;

static void look(int fd, struct file *file)
{
    struct stat status;
    TARGET_CHECK(fstat(fd, &status) == 0);
    memset(file, 0, sizeof(*file));
    file->fd = fd;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->mode = status.st_mode;
    file->flags = fcntl(fd, F_GETFL);
    file->descriptor_flags = fcntl(fd, F_GETFD);
    file->position = lseek(fd, 0, SEEK_CUR);
    if (!(file->flags & O_PATH))
    {
        TARGET_CHECK(fcntl(fd, F_GETOWN_EX, &file->owner) == 0);
        file->signal = fcntl(fd, F_GETSIG);
    }
}

static int keep(int fd)
{
    TARGET_CHECK(fd >= 0 && file_count < most);
    look(fd, &files[file_count++]);
    return fd;
}

static void check(void)
{
    for (int i = 0; i < file_count; i++)
    {
        struct file now;
        look(files[i].fd, &now);
        if (memcmp(&now, &files[i], sizeof(now)) != 0)
        {
            target_fail("fd %d: flags %#o position %lld inode %llu owner %d:%d signal %d, expected %#o %lld %llu %d:%d %d", now.fd,
                        now.flags, (long long)now.position, (unsigned long long)now.inode, now.owner.type, now.owner.pid, now.signal,
                        files[i].flags, (long long)files[i].position, (unsigned long long)files[i].inode, files[i].owner.type,
                        files[i].owner.pid, files[i].signal);
        }
    }
}

static int make(const char *name, int flags, size_t length)
{
    uint8_t content[4096];
    int fd = open(target_file(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
    target_fill(content, sizeof(content), 6, 0);
    TARGET_CHECK(fd >= 0);
    for (size_t done = 0; done < length; done += sizeof(content))
    {
        TARGET_CHECK(write(fd, content, sizeof(content)) == sizeof(content));
    }
    TARGET_CHECK(close(fd) == 0);
    return open(target_file(name), flags);
}

static int at(int fd, off_t position)
{
    TARGET_CHECK(fd >= 0 && lseek(fd, position, SEEK_SET) == position);
    return fd;
}

static void open_regular(void)
{
    keep(at(make("read", O_RDONLY, 8192), 5));
    keep(at(make("write", O_WRONLY | O_SYNC, 4096), 1 << 20));
    keep(at(make("both", O_RDWR | O_NOATIME | O_NONBLOCK, 4096), 4096));
    keep(make("append", O_WRONLY | O_APPEND | O_DSYNC, 8192));
    keep(make("cloexec", O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0));
    keep(make("created", O_RDWR | O_CREAT | O_TRUNC, 4096));
    TARGET_CHECK(symlink("read", target_file("link")) == 0);
    keep(at(open(target_file("link"), O_RDONLY), 77));
    keep(open(target_file("link"), O_PATH | O_NOFOLLOW));
    keep(open(target_file("read"), O_PATH | O_CLOEXEC));
    keep(at(make("a name\nwith \\012 all", O_RDONLY, 4096), 4000));
    int dark = make("dark", O_RDWR, 4096);
    TARGET_CHECK(chmod(target_file("dark"), 0) == 0);
    keep(dark);
    int sparse = make("sparse", O_RDWR | O_LARGEFILE, 0);
    TARGET_CHECK(ftruncate(sparse, 5LL << 30) == 0);
    keep(at(sparse, 4LL << 30));
}

static void open_directories(void)
{
    char name[32];
    TARGET_CHECK(mkdir(target_file("folder"), 0755) == 0);
    for (int i = 0; i < entries; i++)
    {
        snprintf(name, sizeof(name), "folder/%03d", i);
        close(open(target_file(name), O_WRONLY | O_CREAT, 0644));
    }
    keep(open(target_file("folder"), O_RDONLY | O_DIRECTORY));
    keep(open(target_file("folder"), O_PATH | O_DIRECTORY | O_CLOEXEC));
    keep(open("/", O_RDONLY | O_DIRECTORY));
}

static void open_devices(void)
{
    static const char *const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random"};
    for (size_t i = 0; i < TARGET_COUNT(names); i++)
    {
        keep(open(names[i], i % 2 == 0 ? O_RDWR : O_RDONLY | O_CLOEXEC));
    }
    keep(open("/dev/null", O_PATH));
}

static void set_owners(void)
{
    int nobody = open(target_file("read"), O_RDONLY), process = open(target_file("read"), O_RDONLY);
    int thread = open(target_file("read"), O_RDONLY), group = open(target_file("read"), O_RDONLY);
    TARGET_CHECK(fcntl(nobody, F_SETSIG, SIGRTMIN + 5) == 0);
    TARGET_CHECK(fcntl(process, F_SETOWN, getpid()) == 0);
    TARGET_CHECK(fcntl(thread, F_SETOWN_EX, &(struct f_owner_ex){F_OWNER_TID, gettid()}) == 0);
    TARGET_CHECK(fcntl(thread, F_SETSIG, SIGUSR1) == 0);
    TARGET_CHECK(fcntl(group, F_SETOWN, -getpgrp()) == 0);
    keep(nobody);
    keep(process);
    keep(thread);
    keep(group);
}

static int shared, twin, high, half;

static void share(void)
{
    struct rlimit limit;
    TARGET_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    shared = keep(at(make("shared", O_RDWR, 8192), 100));
    twin = keep(fcntl(shared, F_DUPFD_CLOEXEC, 100));
    high = keep(fcntl(shared, F_DUPFD, (int)limit.rlim_cur - 1));
    TARGET_EQUAL(limit.rlim_cur - 1, high);
    /* The same file, and yet another description with the same position. */
    keep(at(open(target_file("shared"), O_RDWR), 100));
}

static void check_sharing(void)
{
    int apart = open(target_file("shared"), O_RDWR);
    TARGET_CHECK(lseek(shared, 200, SEEK_SET) == 200);
    TARGET_EQUAL(200, lseek(twin, 0, SEEK_CUR));
    TARGET_EQUAL(200, lseek(high, 0, SEEK_CUR));
    TARGET_EQUAL(0, lseek(apart, 0, SEEK_CUR));
    TARGET_EQUAL(100, lseek(files[file_count - 1].fd, 0, SEEK_CUR));
    TARGET_CHECK(fcntl(twin, F_SETFL, O_APPEND) == 0 && (fcntl(shared, F_GETFL) & O_APPEND) != 0);
}

/* The next entries must be the ones that were not read yet: the position of a directory means something to its file system only. */
static int read_half(void)
{
    char buffer[2048];
    int fd = open(target_file("folder"), O_RDONLY | O_DIRECTORY);
    TARGET_CHECK(fd >= 0 && syscall(SYS_getdents64, fd, buffer, sizeof(buffer)) > 0);
    return keep(fd);
}

static long count_rest(int fd)
{
    char buffer[4096];
    long length, number = 0;
    while ((length = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
    {
        for (long i = 0; i < length; i += *(unsigned short *)(buffer + i + 16))
        {
            number++;
        }
    }
    return number;
}

static void check_use(long rest)
{
    uint8_t byte;
    TARGET_CHECK(read(files[0].fd, &byte, 1) == 1);
    TARGET_EQUAL(target_byte(6, 5), byte);
    TARGET_CHECK(write(files[1].fd, "x", 1) == 1);
    TARGET_CHECK(write(files[3].fd, "x", 1) == 1);
    struct stat status;
    TARGET_CHECK(fstat(files[3].fd, &status) == 0 && status.st_size == 8193);
    TARGET_CHECK(fstat(files[1].fd, &status) == 0 && status.st_size == (1 << 20) + 1);
    TARGET_EQUAL(rest, count_rest(half));
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    open_regular();
    open_directories();
    open_devices();
    half = read_half();
    int other = open(target_file("folder"), O_RDONLY | O_DIRECTORY);
    lseek(other, files[file_count - 1].position, SEEK_SET);
    long rest = count_rest(other);
    close(other);
    set_owners();
    share();
    target_ready();
    while (target_running(50))
    {
        check();
    }

    check();
    check_use(rest);
    check_sharing();
    return target_end();
}
