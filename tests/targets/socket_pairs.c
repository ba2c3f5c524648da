/*
 * Kernel object: unix sockets in pairs, of all three types. Empty and with data both ways, messages with their boundaries (empty ones too), directions that are shut
 * at one end, and ends whose other end is closed: with data left to read, or with an error because the closed one had not read all.
 */
#include "target.h"

#include <poll.h>
#include <sys/socket.h>

static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

struct pair
{
    int one, other;
};

static struct pair make(int type)
{
    int ends[2];
    TARGET_CHECK(socketpair(AF_UNIX, type, 0, ends) == 0);
    return (struct pair){ends[0], ends[1]};
}

static void put(int fd, size_t length, uint32_t seed)
{
    static uint8_t content[200000];
    target_fill(content, length, seed, 0);
    TARGET_EQUAL(length, send(fd, content, length, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static void take(int fd, size_t length, uint32_t seed, const char *what)
{
    static uint8_t content[200001];
    ssize_t taken = recv(fd, content, sizeof(content), MSG_DONTWAIT);
    if (taken != (ssize_t)length)
    {
        target_fail("%s: %zd bytes (errno %d) instead of %zu", what, taken, errno, length);
    }
    target_verify(content, length, seed, 0, what);
}

static void take_nothing(int fd)
{
    char byte;
    TARGET_CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void take_end(int fd)
{
    char byte;
    TARGET_EQUAL(0, recv(fd, &byte, 1, MSG_DONTWAIT));
}

static short state(int fd)
{
    struct pollfd one = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    TARGET_CHECK(poll(&one, 1, 0) >= 0);
    return one.revents;
}

static void cannot_send(int fd, int error)
{
    TARGET_CHECK(send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0);
    TARGET_EQUAL(error, errno);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    struct pair empty[3], both[3], closed[3], reset[3], half[3], whole[3], full = make(SOCK_STREAM), drained = make(SOCK_STREAM);
    for (int i = 0; i < 3; i++)
    {
        empty[i] = make(types[i]);
        both[i] = make(types[i]);
        put(both[i].one, 5, 1);
        put(both[i].one, 100000, 2);
        put(both[i].other, 1, 3);
        if (types[i] != SOCK_STREAM)
        {
            put(both[i].one, 0, 4);
            put(both[i].one, 7, 5);
        }

        closed[i] = make(types[i]);
        put(closed[i].other, 777, 6);
        put(closed[i].other, 3, 7);
        TARGET_CHECK(close(closed[i].other) == 0);

        reset[i] = make(types[i]);
        put(reset[i].one, 4, 8);
        TARGET_CHECK(close(reset[i].other) == 0);

        half[i] = make(types[i]);
        put(half[i].one, 10, 9);
        put(half[i].other, 20, 10);
        TARGET_CHECK(shutdown(half[i].one, SHUT_WR) == 0);

        whole[i] = make(types[i]);
        TARGET_CHECK(shutdown(whole[i].one, SHUT_RDWR) == 0);
    }

    static char filling[1000];
    size_t filled = 0;
    for (ssize_t sent; (sent = send(full.one, filling, sizeof(filling), MSG_DONTWAIT)) > 0;)
    {
        filled += (size_t)sent;
    }

    put(drained.other, 6, 11);
    TARGET_CHECK(close(drained.other) == 0);
    take(drained.one, 6, 11, "what came before the end");
    target_ready();

    while (target_running(50))
    {
    }

    for (int i = 0; i < 3; i++)
    {
        bool connection = types[i] != SOCK_DGRAM, stream = types[i] == SOCK_STREAM;
        int type = 0;
        socklen_t size = sizeof(type);
        TARGET_CHECK(getsockopt(empty[i].one, SOL_SOCKET, SO_TYPE, &type, &size) == 0);
        TARGET_EQUAL(types[i], type);
        take_nothing(empty[i].one);
        take_nothing(empty[i].other);
        TARGET_EQUAL(POLLOUT, state(empty[i].one));
        put(empty[i].one, 9, 20);
        take(empty[i].other, 9, 20, "new data");

        take(both[i].one, 1, 3, "the other way");
        if (stream)
        {
            char all[100005], expected[100005];
            target_fill(expected, 5, 1, 0);
            target_fill(expected + 5, 100000, 2, 0);
            TARGET_EQUAL(100005, recv(both[i].other, all, sizeof(all), MSG_DONTWAIT));
            TARGET_CHECK(memcmp(all, expected, sizeof(all)) == 0);
        }
        else
        {
            take(both[i].other, 5, 1, "first");
            take(both[i].other, 100000, 2, "second");
            take(both[i].other, 0, 4, "an empty one");
            take(both[i].other, 7, 5, "last");
        }
        take_nothing(both[i].other);

        if (connection)
        {
            TARGET_EQUAL(POLLIN | POLLOUT | POLLHUP | POLLRDHUP, state(closed[i].one));
            cannot_send(closed[i].one, EPIPE);
        }

        if (stream)
        {
            char all[780];
            TARGET_EQUAL(780, recv(closed[i].one, all, sizeof(all), MSG_DONTWAIT));
            target_verify(all, 777, 6, 0, "what a closed one had sent");
        }
        else
        {
            take(closed[i].one, 777, 6, "what a closed one had sent");
            take(closed[i].one, 3, 7, "what a closed one had sent last");
        }

        if (!connection)
        {
            cannot_send(closed[i].one, ECONNREFUSED);
        }

        char byte;
        if (connection)
        {
            take_end(closed[i].one);
            TARGET_CHECK((state(reset[i].one) & POLLERR) != 0);
            TARGET_CHECK(recv(reset[i].one, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET);
            take_end(reset[i].one);
        }

        take(half[i].one, 20, 10, "half open");
        take(half[i].other, 10, 9, "half open, last");
        cannot_send(half[i].one, EPIPE);
        if (connection)
        {
            take_end(half[i].other);
            cannot_send(whole[i].other, EPIPE);
            TARGET_EQUAL(POLLIN | POLLOUT | POLLHUP | POLLRDHUP, state(whole[i].other));
        }
        put(half[i].other, 2, 12);
        take(half[i].one, 2, 12, "the open half");
        cannot_send(whole[i].one, EPIPE);
        if (connection)
        {
            take_end(whole[i].one);
        }
    }

    for (ssize_t taken; filled > 0; filled -= (size_t)taken)
    {
        taken = recv(full.other, filling, sizeof(filling), MSG_DONTWAIT);
        TARGET_CHECK(taken > 0);
    }
    TARGET_CHECK(send(full.one, filling, sizeof(filling), MSG_DONTWAIT) == sizeof(filling));
    take_end(drained.one);
    return target_end();
}
