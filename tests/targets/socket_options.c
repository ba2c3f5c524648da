/*
 * Kernel object: options of sockets (socket(7)): sizes of buffers, timeouts, what a receiver is told, offsets for peeking, filters, flags and owners.
 */
#include "target.h"

#include <linux/filter.h>
#include <sys/socket.h>
#include <sys/time.h>

static void set(int fd, int option, int value)
{
    TARGET_CHECK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) == 0);
}

static int get(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof(value);
    TARGET_CHECK(getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0);
    return value;
}

static struct timeval time_of(int fd, int option)
{
    struct timeval value;
    socklen_t size = sizeof(value);
    TARGET_CHECK(getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0);
    return value;
}

int main(int count, char **arguments)
{
    static const int options[] = {SO_SNDBUF, SO_RCVBUF, SO_REUSEADDR, SO_PRIORITY, SO_RCVLOWAT, SO_PASSCRED, SO_PASSSEC, SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE, SO_PEEK_OFF, SO_DONTROUTE, SO_LOCK_FILTER};
    enum { COUNT = TARGET_COUNT(options) };
    target_begin(count, arguments);
    int plain[2], changed[2], before[2][COUNT];
    TARGET_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, plain) == 0 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, changed) == 0);

    set(changed[0], SO_SNDBUF, 30000);
    set(changed[0], SO_RCVBUF, 20000);
    set(changed[0], SO_REUSEADDR, 1);
    set(changed[0], SO_PRIORITY, 3);
    set(changed[0], SO_RCVLOWAT, 17);
    set(changed[0], SO_PASSCRED, 1);
    set(changed[0], SO_PASSSEC, 1);
    set(changed[0], SO_KEEPALIVE, 1);
    set(changed[0], SO_BROADCAST, 1);
    set(changed[0], SO_OOBINLINE, 1);
    set(changed[0], SO_DONTROUTE, 1);
    struct timeval receive = {3, 250000}, send_time = {70, 0};
    struct linger linger = {1, 9};
    TARGET_CHECK(setsockopt(changed[0], SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive)) == 0);
    TARGET_CHECK(setsockopt(changed[0], SOL_SOCKET, SO_SNDTIMEO, &send_time, sizeof(send_time)) == 0);
    TARGET_CHECK(setsockopt(changed[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);

    /* Lets messages pass that begin with an 'a'. */
    struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'a', 0, 1), BPF_STMT(BPF_RET | BPF_K, 0xffff),
                                 BPF_STMT(BPF_RET | BPF_K, 0)};
    struct sock_fprog program = {TARGET_COUNT(code), code};
    TARGET_CHECK(send(changed[0], "before the filter", 17, 0) == 17);
    TARGET_CHECK(setsockopt(changed[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0);
    set(changed[1], SO_LOCK_FILTER, 1);
    set(changed[1], SO_PEEK_OFF, 7);
    TARGET_CHECK(fcntl(changed[1], F_SETOWN, getpid()) == 0 && fcntl(changed[1], F_SETSIG, SIGURG) == 0 && fcntl(changed[1], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
    for (int i = 0; i < COUNT; i++)
    {
        before[0][i] = get(changed[0], options[i]);
        before[1][i] = get(changed[1], options[i]);
    }
    receive = time_of(changed[0], SO_RCVTIMEO);
    send_time = time_of(changed[0], SO_SNDTIMEO);
    target_ready();

    while (target_running(50))
    {
    }

    for (int i = 0; i < COUNT; i++)
    {
        TARGET_EQUAL(before[0][i], get(changed[0], options[i]));
        TARGET_EQUAL(before[1][i], get(changed[1], options[i]));
    }
    TARGET_EQUAL(get(plain[1], SO_SNDBUF), get(plain[0], SO_SNDBUF));
    struct timeval found = time_of(changed[0], SO_RCVTIMEO);
    TARGET_CHECK(found.tv_sec == receive.tv_sec && found.tv_usec == receive.tv_usec);
    found = time_of(changed[0], SO_SNDTIMEO);
    TARGET_CHECK(found.tv_sec == send_time.tv_sec && found.tv_usec == send_time.tv_usec);
    struct linger lingers;
    socklen_t size = sizeof(lingers);
    TARGET_CHECK(getsockopt(changed[0], SOL_SOCKET, SO_LINGER, &lingers, &size) == 0 && lingers.l_onoff == 1 && lingers.l_linger == 9);

    char text[32] = "";
    TARGET_CHECK(recv(changed[1], text, sizeof(text), 0) == 17 && strcmp(text, "before the filter") == 0);
    signal(SIGURG, SIG_IGN);
    TARGET_CHECK(send(changed[0], "no", 2, 0) == 2 && send(changed[0], "aye", 3, 0) == 3);
    memset(text, 0, sizeof(text));
    TARGET_CHECK(recv(changed[1], text, sizeof(text), 0) == 3 && strcmp(text, "aye") == 0);
    TARGET_CHECK((fcntl(changed[0], F_GETFL) & O_NONBLOCK) != 0 && (fcntl(changed[0], F_GETFD) & FD_CLOEXEC) != 0);
    TARGET_CHECK((fcntl(plain[0], F_GETFL) & O_NONBLOCK) == 0);
    TARGET_CHECK(fcntl(changed[1], F_GETOWN) == getpid() && fcntl(changed[1], F_GETSIG) == SIGURG && (fcntl(changed[1], F_GETFL) & O_ASYNC) != 0);
    return target_end();
}
