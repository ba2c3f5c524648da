/*
 * Kernel object: unix sockets that listen, those that they have accepted, and connections that wait. Accepted ones have the name of who listened, which clients see,
 * also when that is closed, and each end knows the user at the other one; a queue keeps its length and order; a client may have closed a direction before it is accepted.
 */
#include "target.h"

#include <linux/securebits.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un address(int type, int number)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char file[16];
    snprintf(file, sizeof(file), "s%d", number);
    const char *path = target_file(file);
    TARGET_CHECK(strlen(path) < sizeof(name.sun_path));
    strcpy(name.sun_path, path);
    if (type == SOCK_SEQPACKET)
    {
        memset(name.sun_path, 0, sizeof(name.sun_path));
        snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "criups-listener-%d-%d", getpid(), number);
        name.sun_path[0] = 0;
    }
    return name;
}

static int make(int type)
{
    int fd = socket(AF_UNIX, type, 0);
    TARGET_CHECK(fd >= 0);
    return fd;
}

static socklen_t size_of(const struct sockaddr_un *name)
{
    size_t length = name->sun_path[0] != 0 ? strlen(name->sun_path) + 1 : 1 + strlen(name->sun_path + 1);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* Who is noted at the other end, as the effective user of this moment. */
static void known(int fd, uid_t uid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    TARGET_CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0);
    TARGET_EQUAL(uid, peer.uid);
}

static void become(uid_t uid)
{
    if (getuid() == 0)
    {
        /* With all that root may. */
        TARGET_CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) == 0 && syscall(SYS_setresuid, -1, uid, -1) == 0);
        TARGET_CHECK(prctl(PR_SET_SECUREBITS, uid == 0 ? 0 : SECBIT_NO_SETUID_FIXUP) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
    }
}

static int serve(int type, int number, int backlog, uid_t uid)
{
    struct sockaddr_un name = address(type, number);
    int fd = make(type);
    TARGET_CHECK(bind(fd, (struct sockaddr *)&name, size_of(&name)) == 0 && (name.sun_path[0] == 0 || chmod(name.sun_path, 0666) == 0));
    become(uid);
    TARGET_CHECK(listen(fd, backlog) == 0);
    become(0);
    return fd;
}

static int client(int type, int number)
{
    struct sockaddr_un name = address(type, number);
    int fd = make(type);
    TARGET_CHECK(connect(fd, (struct sockaddr *)&name, size_of(&name)) == 0);
    return fd;
}

static void named(int fd, int peer, int type, int number)
{
    struct sockaddr_un expected = address(type, number), name;
    socklen_t length = sizeof(name);
    TARGET_CHECK((peer ? getpeername : getsockname)(fd, (struct sockaddr *)&name, &length) == 0);
    TARGET_EQUAL(size_of(&expected), length);
    TARGET_CHECK(memcmp(&expected, &name, length) == 0);
}

static void talk(int from, int to)
{
    char text[8] = "";
    TARGET_CHECK(send(from, "hello", 5, 0) == 5 && recv(to, text, sizeof(text), MSG_DONTWAIT) == 5 && strcmp(text, "hello") == 0);
}

int main(int count, char **arguments)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    target_begin(count, arguments);
    int alive[2], alive_client[2][2], alive_server[2][2], ended_client[2], ended_server[2], waiting[2], waiting_client[2][3], left_client[2];
    for (int i = 0; i < 2; i++)
    {
        alive[i] = serve(types[i], 1, 5, 34);
        for (int n = 0; n < 2; n++)
        {
            become(34 + (uid_t)n);
            alive_client[i][n] = client(types[i], 1);
            become(0);
            alive_server[i][n] = accept(alive[i], NULL, NULL);
            TARGET_CHECK(alive_server[i][n] >= 0);
        }

        int ended = serve(types[i], 2, 5, 0);
        ended_client[i] = client(types[i], 2);
        ended_server[i] = accept(ended, NULL, NULL);
        TARGET_CHECK(ended_server[i] >= 0 && close(ended) == 0);
        if (types[i] == SOCK_STREAM)
        {
            TARGET_CHECK(unlink(address(types[i], 2).sun_path) == 0);
        }

        waiting[i] = serve(types[i], 3, 5, 0);
        for (int n = 0; n < 3; n++)
        {
            struct sockaddr_un own = address(SOCK_SEQPACKET, 10 + 3 * i + n), name = address(types[i], 3);
            waiting_client[i][n] = make(types[i]);
            TARGET_CHECK(bind(waiting_client[i][n], (struct sockaddr *)&own, size_of(&own)) == 0);
            TARGET_CHECK(connect(waiting_client[i][n], (struct sockaddr *)&name, size_of(&name)) == 0);
        }
        TARGET_CHECK(shutdown(waiting_client[i][1], SHUT_WR) == 0);

        serve(types[i], 4, 0, 0);
        int left = serve(types[i], 5, 1, 0);
        left_client[i] = client(types[i], 5);
        int server = accept(left, NULL, NULL);
        TARGET_CHECK(server >= 0 && send(server, "last", 4, 0) == 4 && close(server) == 0 && close(left) == 0);
    }
    target_ready();

    while (target_running(50))
    {
    }

    for (int i = 0; i < 2; i++)
    {
        for (int n = 0; n < 2; n++)
        {
            known(alive_server[i][n], getuid() == 0 ? 34 + (uid_t)n : getuid());
            known(alive_client[i][n], getuid() == 0 ? 34 : getuid());
            named(alive_server[i][n], 0, types[i], 1);
            named(alive_client[i][n], 1, types[i], 1);
            talk(alive_client[i][n], alive_server[i][n]);
            talk(alive_server[i][n], alive_client[i][n]);
        }
        int another = client(types[i], 1), accepted = accept(alive[i], NULL, NULL);
        TARGET_CHECK(accepted >= 0);
        talk(another, accepted);

        named(ended_server[i], 0, types[i], 2);
        named(ended_client[i], 1, types[i], 2);
        talk(ended_client[i], ended_server[i]);

        for (int n = 0; n < 3; n++)
        {
            char byte;
            int server = accept(waiting[i], NULL, NULL);
            TARGET_CHECK(server >= 0);
            named(server, 1, SOCK_SEQPACKET, 10 + 3 * i + n);
            talk(server, waiting_client[i][n]);
            if (n == 1)
            {
                TARGET_EQUAL(0, recv(server, &byte, 1, MSG_DONTWAIT));
            }
            else
            {
                talk(waiting_client[i][n], server);
            }
        }

        struct sockaddr_un name = address(types[i], 4);
        int first = client(types[i], 4), second = make(types[i] | SOCK_NONBLOCK);
        TARGET_CHECK(connect(second, (struct sockaddr *)&name, size_of(&name)) < 0 && errno == EAGAIN);
        close(first);

        char text[8] = "";
        named(left_client[i], 1, types[i], 5);
        TARGET_CHECK(recv(left_client[i], text, sizeof(text), MSG_DONTWAIT) == 4 && strcmp(text, "last") == 0);
        TARGET_EQUAL(0, recv(left_client[i], text, sizeof(text), MSG_DONTWAIT));
    }
    return target_end();
}
