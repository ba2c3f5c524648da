/*
 * Kernel object: pipes with both ends in the process. Empty, with data, full to the last byte, made larger and smaller, with one
 * end closed, with several descriptions of one end, packets (O_DIRECT) with their boundaries, and O_RDWR through /proc.
 */
#include "target.h"

#include <poll.h>
#include <sys/ioctl.h>

struct ends
{
    int read, write;
};

static struct ends make(int flags)
{
    int pair[2];
    TARGET_CHECK(pipe2(pair, flags) == 0);
    return (struct ends){pair[0], pair[1]};
}

static size_t held(int fd)
{
    int number;
    TARGET_CHECK(ioctl(fd, FIONREAD, &number) == 0);
    return (size_t)number;
}

static size_t fill(int fd, size_t length, uint32_t seed)
{
    uint8_t *content = malloc(length);
    target_fill(content, length, seed, 0);
    ssize_t written = write(fd, content, length);
    TARGET_CHECK(written > 0);
    free(content);
    return (size_t)written;
}

static void drain(int fd, size_t length, uint32_t seed, const char *what)
{
    uint8_t *content = malloc(length);
    size_t done = 0;
    TARGET_EQUAL(length, held(fd));
    while (done < length)
    {
        ssize_t part = read(fd, content + done, length - done);
        TARGET_CHECK(part > 0);
        done += (size_t)part;
    }
    target_verify(content, length, seed, 0, what);
    free(content);
}

static void drain_packet(int fd, size_t length, uint32_t seed)
{
    uint8_t content[8192];
    TARGET_EQUAL(length, read(fd, content, sizeof(content)));
    target_verify(content, length, seed, 0, "packet");
}

static short state(int fd)
{
    struct pollfd poll_one = {fd, POLLIN | POLLOUT, 0};
    TARGET_CHECK(poll(&poll_one, 1, 0) >= 0);
    return poll_one.revents;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    struct ends empty = make(0), some = make(O_CLOEXEC), full = make(O_NONBLOCK), large = make(0), small = make(0), deaf = make(0),
                silent = make(0), packets = make(O_DIRECT), several = make(0), both = make(0);
    char path[64];
    signal(SIGPIPE, SIG_IGN);

    fill(some.write, 12345, 1);
    size_t capacity = fill(full.write, 1 << 20, 2);
    TARGET_EQUAL(65536, capacity);
    TARGET_EQUAL(1 << 20, fcntl(large.write, F_SETPIPE_SZ, 1 << 20));
    fill(large.write, 1 << 20, 3);
    TARGET_EQUAL(4096, fcntl(small.write, F_SETPIPE_SZ, 4096));
    fill(small.write, 4096, 4);

    TARGET_CHECK(close(deaf.read) == 0);
    fill(silent.write, 777, 5);
    TARGET_CHECK(close(silent.write) == 0);

    fill(packets.write, 100, 6);
    fill(packets.write, 1, 7);
    fill(packets.write, 4096, 8);
    fill(packets.write, 1, 9);

    fill(several.write, 50, 10);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", several.read);
    int second = open(path, O_RDONLY | O_NONBLOCK), third = dup2(several.write, 200);
    int writer = open(path, O_WRONLY | O_CLOEXEC);
    TARGET_CHECK(second >= 0 && third == 200 && writer >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", both.read);
    int two_ways = open(path, O_RDWR);
    TARGET_CHECK(two_ways >= 0 && close(both.read) == 0 && close(both.write) == 0);
    fill(two_ways, 300, 11);
    target_ready();

    while (target_running(50))
    {
        TARGET_EQUAL(12345, held(some.read));
    }

    TARGET_EQUAL(0, held(empty.read));
    TARGET_EQUAL(POLLOUT, state(empty.write));
    drain(some.read, 12345, 1, "some data");
    TARGET_CHECK(write(full.write, "x", 1) < 0 && errno == EAGAIN);
    drain(full.read, capacity, 2, "a full pipe");
    TARGET_EQUAL(1 << 20, fcntl(large.read, F_GETPIPE_SZ));
    drain(large.read, 1 << 20, 3, "a large pipe");
    TARGET_EQUAL(4096, fcntl(small.read, F_GETPIPE_SZ));
    drain(small.read, 4096, 4, "a small pipe");

    TARGET_CHECK((state(deaf.write) & POLLERR) != 0 && write(deaf.write, "x", 1) < 0 && errno == EPIPE);
    TARGET_CHECK((state(silent.read) & POLLHUP) != 0);
    drain(silent.read, 777, 5, "a pipe without writers");
    TARGET_EQUAL(0, read(silent.read, path, 1));

    TARGET_CHECK((fcntl(packets.write, F_GETFL) & O_DIRECT) != 0);
    drain_packet(packets.read, 100, 6);
    drain_packet(packets.read, 1, 7);
    drain_packet(packets.read, 4096, 8);
    drain_packet(packets.read, 1, 9);

    TARGET_CHECK((fcntl(second, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(several.read, F_GETFL) & O_NONBLOCK) == 0);
    drain(second, 50, 10, "a pipe with several ends");
    TARGET_CHECK(read(second, path, 1) < 0 && errno == EAGAIN);
    TARGET_CHECK(close(several.write) == 0 && close(third) == 0 && (state(several.read) & POLLHUP) == 0);
    TARGET_CHECK(close(writer) == 0 && (state(several.read) & POLLHUP) != 0);
    drain(two_ways, 300, 11, "a pipe open both ways");
    return target_end();
}
