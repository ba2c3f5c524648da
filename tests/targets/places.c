/*
 * Kernel object: the table of descriptors, with files at numbers that no order of opening would give them: ends of pipes swapped, apart and in gaps,
 * some closed on exec and some not, pipes of other sizes, and more files than a small table has room for.
 */
#include "target.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

enum { pipes = 60, files = 400, far_away = 900 };

struct place
{
    int fd, flags, mark;
};

static struct place places[files], ends[2 * pipes];

/* Puts a file at a number, which may be anybody's: who was there goes elsewhere first. */
static void put(int *from, int to, int flags)
{
    if (*from != to)
    {
        TARGET_EQUAL(to, dup3(*from, to, flags & FD_CLOEXEC ? O_CLOEXEC : 0));
        close(*from);
        *from = to;
    }
    TARGET_CHECK(fcntl(to, F_SETFD, flags) == 0);
}

static void make_pipes(void)
{
    for (int i = 0; i < pipes; i++)
    {
        int pair[2];
        TARGET_CHECK(pipe2(pair, i % 5 == 0 ? O_NONBLOCK : 0) == 0);
        if (i % 7 == 0)
        {
            TARGET_EQUAL(4096 << (i % 3), fcntl(pair[0], F_SETPIPE_SZ, 4096 << (i % 3)));
        }
        if (i % 4 == 1)
        {
            /* Swapped: what reads has the number of what writes. */
            int spare = dup(pair[0]), low = pair[0], high = pair[1];
            TARGET_CHECK(spare >= 0 && dup2(pair[1], low) == low && dup2(spare, high) == high && close(spare) == 0);
            pair[0] = high;
            pair[1] = low;
        }
        put(&pair[i % 2], i % 3 == 0 ? far_away + i * 3 : pair[i % 2], i % 2);
        ends[2 * i] = (struct place){pair[0], fcntl(pair[0], F_GETFD), i};
        ends[2 * i + 1] = (struct place){pair[1], fcntl(pair[1], F_GETFD), i};
        if (i % 6 == 5)
        {
            TARGET_EQUAL(1, write(pair[1], "x", 1));
        }
    }
}

static void make_files(void)
{
    const char *path = target_file("content");
    for (int i = 0; i < files; i++)
    {
        int fd = i % 4 == 0 ? eventfd((unsigned)i, i % 3 ? EFD_SEMAPHORE : EFD_NONBLOCK)
               : i % 4 == 1 ? open(path, O_RDWR | O_CREAT | (i % 3 ? O_APPEND : 0), 0644)
               : i % 4 == 2 ? timerfd_create(CLOCK_MONOTONIC, i % 3 ? TFD_NONBLOCK : 0)
                            : open("/dev/null", i % 3 ? O_WRONLY : O_RDONLY);
        TARGET_CHECK(fd >= 0);
        if (i % 4 == 1)
        {
            TARGET_EQUAL(i, lseek(fd, i, SEEK_SET));
        }
        put(&fd, i % 9 == 0 ? far_away + 500 + i : fd, i & 1);
        places[i] = (struct place){fd, i & 1, i};
        if (i % 10 == 9)
        {
            /* A hole that later files do not fill at once. */
            close(places[i - 5].fd);
            places[i - 5].fd = -1;
        }
    }
}

static void check_pipe(int i)
{
    struct place read_end = ends[2 * i], write_end = ends[2 * i + 1];
    char byte = 0;
    TARGET_EQUAL(read_end.flags, fcntl(read_end.fd, F_GETFD));
    TARGET_EQUAL(write_end.flags, fcntl(write_end.fd, F_GETFD));
    TARGET_EQUAL(O_RDONLY, fcntl(read_end.fd, F_GETFL) & O_ACCMODE);
    TARGET_EQUAL(O_WRONLY, fcntl(write_end.fd, F_GETFL) & O_ACCMODE);
    TARGET_EQUAL(i % 5 == 0 ? O_NONBLOCK : 0, fcntl(read_end.fd, F_GETFL) & O_NONBLOCK);
    TARGET_EQUAL(i % 7 == 0 ? 4096 << (i % 3) : 65536, fcntl(write_end.fd, F_GETPIPE_SZ));
    TARGET_EQUAL(1, write(write_end.fd, "y", 1));
    TARGET_EQUAL(1, read(read_end.fd, &byte, 1));
    TARGET_EQUAL(i % 6 == 5 ? 'x' : 'y', byte);
    if (i % 6 == 5)
    {
        TARGET_EQUAL(1, read(read_end.fd, &byte, 1));
        TARGET_EQUAL(1, write(write_end.fd, "x", 1));
    }
}

static void check_file(const struct place *place)
{
    int i = place->mark;
    uint64_t count;
    if (place->fd < 0)
    {
        return;
    }
    TARGET_EQUAL(place->flags, fcntl(place->fd, F_GETFD));
    if (i % 4 == 0 && i > 0)
    {
        TARGET_EQUAL(8, read(place->fd, &count, 8));
        TARGET_EQUAL(i % 3 ? 1 : i, count);
        TARGET_EQUAL(8, write(place->fd, &count, 8));
    }
    else if (i % 4 == 1)
    {
        TARGET_EQUAL(i, lseek(place->fd, 0, SEEK_CUR));
        TARGET_EQUAL(i % 3 ? O_APPEND : 0, fcntl(place->fd, F_GETFL) & O_APPEND);
    }
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    make_pipes();
    make_files();
    target_ready();
    do
    {
        for (int i = 0; i < pipes; i++)
        {
            check_pipe(i);
        }
        for (int i = 0; i < files; i++)
        {
            check_file(&places[i]);
        }
    } while (target_running(20));
    return target_end();
}
