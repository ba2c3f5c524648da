/*
 * Kernel object: open files on their way in unix sockets (SCM_RIGHTS). Files that the program has too, and files that are open nowhere else; a pipe whose other end it
 * has; sockets, with files in their own queues; a socket in its own queue; messages that say who sent them (SCM_CREDENTIALS).
 */
#include "target.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static void put(int fd, const char *text, const int *files, size_t count)
{
    char control[CMSG_SPACE(sizeof(int) * 8)] = "";
    struct iovec vector = {(void *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), files, sizeof(int) * count);
    TARGET_EQUAL(strlen(text), sendmsg(fd, &message, MSG_DONTWAIT));
}

static void take(int fd, const char *text, int *files, size_t count, struct ucred *sender)
{
    char control[CMSG_SPACE(sizeof(int) * 8) + CMSG_SPACE(sizeof(struct ucred))], data[64] = "";
    struct iovec vector = {data, sizeof(data) - 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    size_t found = 0;
    TARGET_EQUAL(strlen(text), recvmsg(fd, &message, MSG_DONTWAIT));
    TARGET_CHECK(strcmp(data, text) == 0);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header))
    {
        if (header->cmsg_type == SCM_RIGHTS)
        {
            found = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            TARGET_CHECK(found <= count);
            memcpy(files, CMSG_DATA(header), found * sizeof(int));
        }
        else if (header->cmsg_type == SCM_CREDENTIALS && sender != NULL)
        {
            memcpy(sender, CMSG_DATA(header), sizeof(*sender));
        }
    }
    TARGET_EQUAL(count, found);
}

static void make(int type, int pair[2])
{
    TARGET_CHECK(socketpair(AF_UNIX, type, 0, pair) == 0);
}

int main(int count, char **arguments)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    target_begin(count, arguments);
    int carrier[3][2], kept[3], pipe_end[3][2], inner[3][2], loop[2], noted[2], orphan[2];
    for (int i = 0; i < 3; i++)
    {
        char name[8];
        snprintf(name, sizeof(name), "f%d", i);
        make(types[i], carrier[i]);
        kept[i] = open(target_file(name), O_RDWR | O_CREAT, 0600);
        TARGET_CHECK(kept[i] >= 0 && write(kept[i], "0123456789", 10) == 10 && lseek(kept[i], 3, SEEK_SET) == 3);
        int alone = open(target_file(name), O_RDONLY);
        TARGET_CHECK(alone >= 0 && lseek(alone, 5, SEEK_SET) == 5 && pipe(pipe_end[i]) == 0);
        put(carrier[i][0], "files", (int[]){kept[i], alone, pipe_end[i][0]}, 3);
        TARGET_CHECK(close(alone) == 0 && close(pipe_end[i][0]) == 0);
        TARGET_CHECK(send(carrier[i][0], "plain", 5, 0) == 5);

        int event = eventfd((unsigned)(70 + i), 0);
        make(types[2 - i], inner[i]);
        put(inner[i][0], "deep", &event, 1);
        put(carrier[i][0], "socket", &inner[i][1], 1);
        TARGET_CHECK(event >= 0 && close(event) == 0 && close(inner[i][1]) == 0);
    }

    int set[2], watched = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x123456789abcULL};
    make(SOCK_DGRAM, set);
    TARGET_CHECK(epoll_ctl(watched, EPOLL_CTL_ADD, set[1], &event) == 0);
    put(set[0], "set", &watched, 1);
    TARGET_CHECK(close(watched) == 0);

    make(SOCK_DGRAM, loop);
    put(loop[0], "loop", (int[]){loop[1]}, 1);

    make(SOCK_STREAM, orphan);
    int other = eventfd(5, 0);
    put(orphan[0], "orphan", &other, 1);
    TARGET_CHECK(close(other) == 0 && close(orphan[0]) == 0);

    int on = 1;
    make(SOCK_DGRAM, noted);
    TARGET_CHECK(setsockopt(noted[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 && send(noted[0], "who", 3, 0) == 3);
    uid_t uid = getuid();
    gid_t gid = getgid();
    target_ready();

    while (target_running(50))
    {
    }

    for (int i = 0; i < 3; i++)
    {
        int files[3], socket, event;
        char text[16] = "";
        uint64_t number = 0;
        take(carrier[i][1], "files", files, 3, NULL);
        TARGET_CHECK(read(files[0], text, 2) == 2 && strcmp(text, "34") == 0);
        TARGET_EQUAL(5, lseek(kept[i], 0, SEEK_CUR));
        TARGET_CHECK(read(files[1], text, 2) == 2 && strcmp(text, "56") == 0);
        TARGET_CHECK(write(pipe_end[i][1], "pipe", 4) == 4 && read(files[2], text, 4) == 4 && strcmp(text, "pipe") == 0);
        take(carrier[i][1], types[i] == SOCK_STREAM ? "plainsocket" : "plain", &socket, types[i] == SOCK_STREAM ? 1 : 0, NULL);
        if (types[i] != SOCK_STREAM)
        {
            take(carrier[i][1], "socket", &socket, 1, NULL);
        }
        take(socket, "deep", &event, 1, NULL);
        TARGET_CHECK(read(event, &number, sizeof(number)) == sizeof(number));
        TARGET_EQUAL(70 + i, number);
        TARGET_CHECK(send(inner[i][0], "new", 3, 0) == 3);
        take(socket, "new", NULL, 0, NULL);
    }

    struct epoll_event happened;
    TARGET_CHECK(send(set[0], "more", 4, 0) == 4);
    take(set[1], "set", &watched, 1, NULL);
    TARGET_CHECK(epoll_wait(watched, &happened, 1, 0) == 1 && happened.data.u64 == event.data.u64);

    int self, last;
    uint64_t number;
    struct ucred sender = {0};
    take(loop[1], "loop", &self, 1, NULL);
    TARGET_CHECK(send(loop[0], "to itself", 9, 0) == 9);
    take(self, "to itself", NULL, 0, NULL);
    take(orphan[1], "orphan", &last, 1, NULL);
    TARGET_CHECK(read(last, &number, sizeof(number)) == sizeof(number) && number == 5);
    take(noted[1], "who", NULL, 0, &sender);
    TARGET_CHECK(sender.pid == getpid() && sender.uid == uid && sender.gid == gid);
    return target_end();
}
