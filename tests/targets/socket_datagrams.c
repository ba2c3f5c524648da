/*
 * Kernel object: unix datagram sockets and to whom they send. To one another, one way, to themselves, many to one, to one that is closed, to one that has lost its
 * path; what waits keeps its sender's name, also of one that is closed.
 */
#include "target.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un address(const char *text)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (text[0] == '/')
    {
        const char *path = target_file(text + 1);
        TARGET_CHECK(strlen(path) < sizeof(name.sun_path));
        strcpy(name.sun_path, path);
    }
    else
    {
        snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "criups-datagram-%d-%s", getpid(), text);
    }
    return name;
}

static socklen_t size_of(const struct sockaddr_un *name)
{
    size_t length = name->sun_path[0] != 0 ? strlen(name->sun_path) + 1 : 1 + strlen(name->sun_path + 1);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int make(const char *text)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    TARGET_CHECK(fd >= 0);
    if (text != NULL)
    {
        struct sockaddr_un name = address(text);
        TARGET_CHECK(bind(fd, (struct sockaddr *)&name, size_of(&name)) == 0);
    }
    return fd;
}

static void direct(int fd, const char *text)
{
    struct sockaddr_un name = address(text);
    TARGET_CHECK(connect(fd, (struct sockaddr *)&name, size_of(&name)) == 0);
}

static void put_to(int fd, const char *to, const char *what)
{
    struct sockaddr_un name = address(to);
    TARGET_CHECK(sendto(fd, what, strlen(what), 0, (struct sockaddr *)&name, size_of(&name)) == (ssize_t)strlen(what));
}

static void put(int fd, const char *what)
{
    TARGET_CHECK(send(fd, what, strlen(what), 0) == (ssize_t)strlen(what));
}

static void take(int fd, const char *what, const char *from)
{
    char text[64] = "";
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    ssize_t taken = recvfrom(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&name, &length);
    if (taken < 0 || strcmp(text, what) != 0)
    {
        target_fail("\"%s\" (errno %d) instead of \"%s\"", text, errno, what);
    }
    if (from == NULL)
    {
        TARGET_CHECK(length <= sizeof(sa_family_t));
    }
    else
    {
        struct sockaddr_un expected = address(from);
        TARGET_EQUAL(size_of(&expected), length);
        TARGET_CHECK(memcmp(&expected, &name, length) == 0);
    }
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    int server = make("server"), path = make("/path"), clients[3] = {make("c0"), make("/c1"), make(NULL)}, closed = make("closed");
    for (int i = 0; i < 3; i++)
    {
        direct(clients[i], i == 1 ? "/path" : "server");
        put(clients[i], "from a client");
    }
    put_to(closed, "server", "from one that is closed");
    TARGET_CHECK(close(closed) == 0);

    int left = make("left"), right = make("right");
    direct(left, "right");
    direct(right, "left");
    put(left, "to the right");
    for (int i = 0; i < 15; i++)
    {
        put(right, "to the left");
    }

    int self = make("self");
    direct(self, "self");
    put(self, "to itself");

    int first = make("first"), second = make("second"), third = make("third");
    direct(first, "second");
    put(first, "before");
    direct(second, "third");
    put(second, "in a row");

    int deaf = make("deaf"), widow = make(NULL), ghost = make("/ghost"), mourner = make(NULL), pair[2], torn[2];
    direct(widow, "deaf");
    TARGET_CHECK(close(deaf) == 0);
    direct(mourner, "/ghost");
    put(mourner, "boo");
    TARGET_CHECK(unlink(address("/ghost").sun_path) == 0);

    TARGET_CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, torn) == 0);
    direct(pair[0], "server");
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    TARGET_CHECK(connect(torn[0], &none, sizeof(none)) == 0);
    put(torn[1], "one way");
    int idle = make(NULL);
    target_ready();

    while (target_running(50))
    {
    }

    take(server, "from a client", "c0");
    take(server, "from a client", NULL);
    take(server, "from one that is closed", "closed");
    take(path, "from a client", "/c1");
    put(clients[1], "again");
    take(path, "again", "/c1");
    put(clients[2], "again");
    take(server, "again", NULL);

    take(right, "to the right", "left");
    for (int i = 0; i < 15; i++)
    {
        take(left, "to the left", "right");
    }
    put(left, "more");
    take(right, "more", "left");
    take(self, "to itself", "self");
    put(self, "me again");
    take(self, "me again", "self");

    take(second, "before", "first");
    TARGET_CHECK(send(first, "x", 1, 0) < 0 && errno == EPERM);
    take(third, "in a row", "second");
    put(second, "on");
    take(third, "on", "second");

    struct sockaddr_un name, expected = address("deaf");
    socklen_t length = sizeof(name);
    TARGET_CHECK(getpeername(widow, (struct sockaddr *)&name, &length) == 0 && length == size_of(&expected) && memcmp(&name, &expected, length) == 0);
    TARGET_CHECK(send(widow, "x", 1, 0) < 0 && errno == ECONNREFUSED);
    take(ghost, "boo", NULL);
    put(mourner, "boo boo");
    take(ghost, "boo boo", NULL);
    TARGET_CHECK(access(address("/ghost").sun_path, F_OK) < 0);

    put(pair[0], "elsewhere");
    take(server, "elsewhere", NULL);
    TARGET_CHECK(send(pair[1], "x", 1, 0) < 0 && errno == EPERM);
    take(torn[0], "one way", NULL);
    put(torn[1], "one more way");
    take(torn[0], "one more way", NULL);
    TARGET_CHECK(send(torn[0], "x", 1, 0) < 0 && errno == ENOTCONN && send(idle, "x", 1, 0) < 0 && errno == ENOTCONN);
    return target_end();
}
