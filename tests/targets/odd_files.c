/*
 * Files that are rarely open: slaves whose master is gone, consoles, devices that keep nothing, nodes and named pipes without a name, namespaces, references to
 * threads, leases that are being broken, descriptors with high numbers, a place far behind the end.
 */
#include "target.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static int slaves[2], console, screen, kernel_log, null_node, tunnel, fifo, far, deep, link_path, net_namespace, own_thread;
static int reader_lease, writer_lease, high[2];
static atomic_int thread_id;
static volatile sig_atomic_t told;
static char leased[2][3 * PATH_MAX], path[3 * PATH_MAX];
static ino_t node_inode;

static void on_told(int signal)
{
    (void)signal;
    told++;
}

static const char *in(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", target_folder(), name);
    return path;
}

static void make_slaves(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    TARGET_CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    for (int i = 0; i < 2; i++)
    {
        slaves[i] = open(ptsname(master), O_RDWR | O_NOCTTY | (i == 0 ? 0 : O_NONBLOCK));
        TARGET_CHECK(slaves[i] >= 0);
    }

    close(master);
}

static void check_slaves(void)
{
    char byte;
    struct termios settings;
    for (int i = 0; i < 2; i++)
    {
        TARGET_EQUAL(0, read(slaves[i], &byte, 1));
        TARGET_EQUAL(-1, write(slaves[i], "x", 1));
        TARGET_EQUAL(EIO, errno);
        TARGET_EQUAL(-1, tcgetattr(slaves[i], &settings));
        struct pollfd ready = {slaves[i], POLLIN | POLLOUT, 0};
        TARGET_EQUAL(1, poll(&ready, 1, 0));
        TARGET_CHECK((ready.revents & POLLHUP) != 0);
    }
}

static void make_devices(void)
{
    /* Not every machine has them. */
    console = open("/dev/console", O_RDWR | O_NOCTTY | O_NONBLOCK);
    screen = open("/dev/tty0", O_RDWR | O_NOCTTY);
    kernel_log = open("/dev/kmsg", O_WRONLY);
    tunnel = open("/dev/net/tun", O_RDWR);
    (void)!open("/dev/loop-control", O_RDWR);
    if (geteuid() == 0)
    {
        TARGET_EQUAL(0, mknod(in("node"), S_IFCHR | 0600, 0x103));
        null_node = open(path, O_RDWR);
        TARGET_CHECK(null_node >= 0);
        struct stat status;
        fstat(null_node, &status);
        node_inode = status.st_ino;
        unlink(path);
    }

    TARGET_EQUAL(0, mkfifo(in("fifo"), 0600));
    fifo = open(path, O_RDWR);
    TARGET_EQUAL(4, write(fifo, "fifo", 4));
    unlink(path);
}

static void check_devices(void)
{
    char buffer[8];
    struct stat status;
    TARGET_EQUAL(4, read(fifo, buffer, sizeof(buffer)));
    if (tunnel >= 0)
    {
        /* It is attached to nothing. */
        TARGET_EQUAL(-1, read(tunnel, buffer, 1));
        TARGET_EQUAL(EBADFD, errno);
    }

    if (null_node > 0)
    {
        TARGET_EQUAL(0, read(null_node, buffer, 1));
        TARGET_EQUAL(0, fstat(null_node, &status));
        TARGET_EQUAL(0x103, status.st_rdev);
        TARGET_EQUAL(0, status.st_nlink);
    }

    if (console >= 0)
    {
        TARGET_EQUAL(0, fstat(console, &status));
        TARGET_EQUAL(0x501, status.st_rdev);
    }
}

static void make_files(void)
{
    far = open(in("far"), O_CREAT | O_RDWR, 0600);
    TARGET_EQUAL(1L << 43, lseek(far, 1L << 43, SEEK_SET));
    mkdir(in("removed"), 0700);
    deep = open(in("removed/deep"), O_CREAT | O_RDWR | O_APPEND, 0600);
    TARGET_EQUAL(4, write(deep, "deep", 4));
    unlink(path);
    rmdir(in("removed"));
    TARGET_EQUAL(0, symlink("away", in("link")));
    link_path = open(path, O_PATH | O_NOFOLLOW);
    net_namespace = open("/proc/self/ns/net", O_RDONLY);
    TARGET_CHECK(far >= 0 && deep >= 0 && link_path >= 0 && net_namespace >= 0);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    high[0] = dup2(far, 1500 < limit.rlim_cur ? 1500 : far + 1);
    high[1] = dup2(deep, (int)limit.rlim_cur - 1);
    TARGET_EQUAL(limit.rlim_cur - 1, high[1]);
}

static void check_files(void)
{
    char buffer[8];
    struct stat status;
    TARGET_EQUAL(1L << 43, lseek(high[0], 0, SEEK_CUR));
    TARGET_EQUAL(4, pread(high[1], buffer, sizeof(buffer), 0));
    TARGET_EQUAL(0, memcmp(buffer, "deep", 4));
    TARGET_EQUAL(4, readlinkat(link_path, "", buffer, sizeof(buffer)));
    TARGET_EQUAL(0, fstat(net_namespace, &status));
    ino_t inode = status.st_ino;
    TARGET_EQUAL(0, stat("/proc/self/ns/net", &status));
    TARGET_EQUAL(inode, status.st_ino);
}

static void *run_thread(void *nothing)
{
    atomic_store(&thread_id, (int)syscall(SYS_gettid));
    for (;;)
    {
        pause();
    }

    return nothing;
}

static void make_thread(void)
{
    target_thread(run_thread, NULL);
    while (atomic_load(&thread_id) == 0)
    {
        usleep(1000);
    }

    own_thread = (int)syscall(SYS_pidfd_open, atomic_load(&thread_id), PIDFD_THREAD);
}

static int lease(int number, int flags, int kind)
{
    snprintf(leased[number], sizeof(leased[0]), "%s/leased%d", target_folder(), number);
    close(open(leased[number], O_CREAT | O_WRONLY, 0600));
    int fd = open(leased[number], flags);
    TARGET_EQUAL(0, fcntl(fd, F_SETLEASE, kind));
    TARGET_EQUAL(0, fcntl(fd, F_SETSIG, SIGRTMIN));
    return fd;
}

static void make_leases(void)
{
    struct sigaction action = {.sa_handler = on_told};
    sigaction(SIGRTMIN, &action, NULL);
    reader_lease = lease(0, O_RDONLY, F_RDLCK);
    writer_lease = lease(1, O_RDWR, F_WRLCK);
    TARGET_EQUAL(-1, open(leased[0], O_WRONLY | O_NONBLOCK));
    TARGET_EQUAL(EWOULDBLOCK, errno);
    TARGET_EQUAL(-1, open(leased[1], O_RDONLY | O_NONBLOCK));
    TARGET_EQUAL(EWOULDBLOCK, errno);
    TARGET_EQUAL(2, told);
}

static void check_leases(void)
{
    TARGET_EQUAL(2, told);
    TARGET_EQUAL(F_UNLCK, fcntl(reader_lease, F_GETLEASE));
    TARGET_EQUAL(F_RDLCK, fcntl(writer_lease, F_GETLEASE));
    TARGET_EQUAL(-1, open(leased[0], O_WRONLY | O_NONBLOCK));
    TARGET_EQUAL(EWOULDBLOCK, errno);
    TARGET_EQUAL(SIGRTMIN, fcntl(writer_lease, F_GETSIG));
    TARGET_EQUAL(0, fcntl(reader_lease, F_SETLEASE, F_UNLCK));
    TARGET_EQUAL(0, fcntl(writer_lease, F_SETLEASE, F_UNLCK));
    close(open(leased[0], O_WRONLY | O_NONBLOCK));
    int fd = open(leased[0], O_WRONLY | O_NONBLOCK);
    TARGET_CHECK(fd >= 0);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    make_slaves();
    make_devices();
    make_files();
    make_thread();
    make_leases();
    target_ready();
    while (target_running(1000))
    {
    }

    check_slaves();
    check_devices();
    check_files();
    check_leases();
    if (own_thread >= 0)
    {
        struct pollfd ready = {own_thread, POLLIN, 0};
        TARGET_EQUAL(0, poll(&ready, 1, 0));
    }

    return target_end();
}
