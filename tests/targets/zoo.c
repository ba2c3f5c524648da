/*
 * Descriptors of every kind, made at random from the number in the environment variable SEED: processes that inherit, share, duplicate, delete, rename and lock
 * files. Each process knows what it must find behind each of its descriptors, and which of them are one open file, in itself and in its parent.
 */
#include "target.h"
#include <linux/bpf.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif

#define MOST 160
#define MOST_CHILDREN 4
#define DEPTH 2

enum kind { REGULAR, DIRECTORY, PIPE, FIFO, EVENT, TIMER, SIGNALS, MEMORY, SET, WATCHES, TERMINAL, MARKS, DEVICE, MAP, SOCKET, KINDS };

struct animal
{
    enum kind kind;
    int fd, flags, cloexec, same_as; /* same_as: another descriptor of the same open file, or -1 */
    off_t position, size;
    nlink_t links;
    int waiting, locks, ready;
    uint64_t value;
    bool common; /* open already when the process was born */
};

static struct animal zoo[MOST];
static int animals;
static uint64_t random_state;
static int ready_write, ready_read, go_read, go_write, verdict;
static int children;
static pid_t parent;
static char folder[PATH_MAX + 8];

static uint32_t next(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

static const char *name(void)
{
    static char path[2 * PATH_MAX];
    static int number;
    snprintf(path, sizeof(path), "%s/%d-%d", folder, getpid(), number++);
    return path;
}

static struct animal *add(enum kind kind, int fd)
{
    TARGET_CHECK(fd >= 0);
    TARGET_CHECK(animals < MOST);
    struct animal *a = &zoo[animals++];
    *a = (struct animal){.kind = kind, .fd = fd, .same_as = -1};
    if (next(3) == 0)
    {
        /* Somewhere else, perhaps far away. */
        int far = fcntl(fd, next(2) ? F_DUPFD_CLOEXEC : F_DUPFD, 3 + (int)next(next(4) == 0 ? 900 : 60));
        TARGET_CHECK(far >= 0);
        close(fd);
        a->fd = far;
    }

    return a;
}

static void make_regular(void)
{
    static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK, O_RDWR | O_NOFOLLOW, O_RDWR | O_NOATIME, O_PATH};
    const char *path = name();
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    TARGET_CHECK(fd >= 0);
    off_t size = next(9000);
    TARGET_EQUAL(0, ftruncate(fd, size));
    TARGET_CHECK(size == 0 || pwrite(fd, "z", 1, size - 1) == 1);
    close(fd);
    int mode = modes[next(TARGET_COUNT(modes))];
    struct animal *a = add(REGULAR, open(path, mode));
    a->size = size;
    a->links = 1;
    if ((mode & O_PATH) == 0)
    {
        a->position = lseek(a->fd, next(20000), SEEK_SET);
        switch (next(8))
        {
        case 0:
            TARGET_EQUAL(0, flock(a->fd, next(2) ? LOCK_SH : LOCK_EX));
            a->locks = 1;
            break;
        case 1:
        {
            struct flock range = {.l_type = (mode & O_ACCMODE) == O_RDONLY ? F_RDLCK : F_WRLCK, .l_start = next(50), .l_len = 1 + next(50)};
            TARGET_EQUAL(0, fcntl(a->fd, F_OFD_SETLK, &range));
            a->locks = 1;
            break;
        }
        default:
            break;
        }
    }

    char other[2 * PATH_MAX + 8];
    snprintf(other, sizeof(other), "%s.moved", path);
    switch (next(5))
    {
    case 0:
        TARGET_EQUAL(0, unlink(path));
        a->links = 0;
        break;
    case 1:
        TARGET_EQUAL(0, rename(path, other));
        break;
    case 2:
        TARGET_EQUAL(0, link(path, other));
        a->links = 2;
        break;
    default:
        break;
    }
}

static void make_directory(void)
{
    const char *path = name();
    TARGET_EQUAL(0, mkdir(path, 0700));
    struct animal *a = add(DIRECTORY, open(path, O_RDONLY | O_DIRECTORY));
    a->links = 2;
    if (next(3) == 0)
    {
        TARGET_EQUAL(0, rmdir(path));
        a->links = 0;
    }
}

static void make_pipe(void)
{
    int ends[2];
    TARGET_EQUAL(0, pipe2(ends, next(2) ? O_NONBLOCK : 0));
    if (next(4) == 0)
    {
        TARGET_CHECK(fcntl(ends[0], F_SETPIPE_SZ, 4096 << next(5)) > 0);
    }

    char bytes[3000] = {0};
    int waiting = (int)next(sizeof(bytes));
    TARGET_EQUAL(waiting, waiting == 0 ? 0 : write(ends[1], bytes, (size_t)waiting));
    struct animal *reader = add(PIPE, ends[0]);
    reader->waiting = waiting;
    if (next(4) == 0)
    {
        close(ends[1]);
    }
    else
    {
        add(PIPE, ends[1])->waiting = waiting;
    }
}

static void make_fifo(void)
{
    const char *path = name();
    TARGET_EQUAL(0, mkfifo(path, 0600));
    struct animal *a = add(FIFO, open(path, O_RDWR | (next(2) ? O_NONBLOCK : 0)));
    a->waiting = (int)next(100);
    char bytes[100] = {0};
    TARGET_EQUAL(a->waiting, a->waiting == 0 ? 0 : write(a->fd, bytes, (size_t)a->waiting));
    if (next(3) == 0)
    {
        unlink(path);
    }
}

static void make_event(void)
{
    uint64_t value = next(100);
    struct animal *a = add(EVENT, eventfd(0, next(2) ? EFD_NONBLOCK : EFD_SEMAPHORE));
    a->value = value;
    TARGET_EQUAL(8, write(a->fd, &value, 8));
}

static void make_timer(void)
{
    struct itimerspec time = {{next(500), 0}, {3000 + next(1000), 0}};
    struct animal *a = add(TIMER, timerfd_create(next(2) ? CLOCK_MONOTONIC : CLOCK_BOOTTIME, TFD_NONBLOCK));
    a->value = (uint64_t)time.it_interval.tv_sec;
    TARGET_EQUAL(0, timerfd_settime(a->fd, 0, &time, NULL));
}

static void make_memory(void)
{
    struct animal *a = add(MEMORY, memfd_create("zoo", MFD_ALLOW_SEALING));
    a->size = 1 + next(20000);
    TARGET_EQUAL(0, ftruncate(a->fd, a->size));
    TARGET_EQUAL(1, pwrite(a->fd, "m", 1, a->size - 1));
    a->value = next(2) ? F_SEAL_SHRINK | F_SEAL_GROW : 0;
    TARGET_EQUAL(0, fcntl(a->fd, F_ADD_SEALS, (int)a->value));
    a->position = lseek(a->fd, next(100), SEEK_SET);
}

/* Watches some of the animals that can be watched. */
static void make_set(void)
{
    struct animal *a = add(SET, epoll_create1(next(2) ? EPOLL_CLOEXEC : 0));
    for (int i = 0; i < animals - 1; i++)
    {
        bool can = zoo[i].kind == PIPE || zoo[i].kind == EVENT || zoo[i].kind == TIMER || zoo[i].kind == SIGNALS || zoo[i].kind == SOCKET;
        if (can && next(3) == 0)
        {
            struct epoll_event event = {.events = EPOLLIN, .data.fd = zoo[i].fd};
            TARGET_EQUAL(0, epoll_ctl(a->fd, EPOLL_CTL_ADD, zoo[i].fd, &event));
        }
    }

    struct epoll_event ready[MOST];
    a->ready = epoll_wait(a->fd, ready, MOST, 0);
}

static void make_watches(void)
{
    struct animal *a = add(WATCHES, inotify_init1(IN_NONBLOCK));
    for (int i = (int)next(4); i >= 0; i--)
    {
        const char *path = name();
        TARGET_EQUAL(0, mkdir(path, 0700));
        TARGET_CHECK(inotify_add_watch(a->fd, path, IN_ALL_EVENTS) > 0);
        char inner[2 * PATH_MAX + 16];
        for (int j = (int)next(4); j > 0; j--)
        {
            snprintf(inner, sizeof(inner), "%s/%u", path, next(3));
            close(open(inner, O_CREAT | O_WRONLY, 0600));
            if (next(2))
            {
                unlink(inner);
            }
        }

        if (next(5) == 0)
        {
            rmdir(path);
        }
    }

    TARGET_EQUAL(0, ioctl(a->fd, FIONREAD, &a->waiting));
}

static void make_terminal(void)
{
    int master = target_master(0, 100 + (int)next(156));
    TARGET_CHECK(master >= 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct winsize size = {(unsigned short)(1 + next(90)), (unsigned short)(1 + next(200)), 0, 0};
    TARGET_EQUAL(0, ioctl(master, TIOCSWINSZ, &size));
    uint64_t value = (uint64_t)size.ws_row << 16 | size.ws_col;
    if (next(3) != 0)
    {
        add(TERMINAL, master)->value = value;
    }
    else
    {
        close(master);
        value = 0;
    }

    add(TERMINAL, slave)->value = value;
}

static void make_marks(void)
{
    if (geteuid() == 0)
    {
        const char *path = name();
        TARGET_EQUAL(0, mkdir(path, 0700));
        struct animal *a = add(MARKS, fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY));
        TARGET_EQUAL(0, fanotify_mark(a->fd, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, AT_FDCWD, path));
        a->ready = 1;
    }
}

static uint64_t map_call(int command, unsigned map, uint64_t value)
{
    uint32_t key = 2;
    union bpf_attr a = {.map_fd = map, .key = (uint64_t)&key, .value = (uint64_t)&value};
    TARGET_EQUAL(0, syscall(SYS_bpf, command, &a, sizeof(a)));
    return value;
}

static void make_map(void)
{
    if (geteuid() == 0)
    {
        union bpf_attr a = {.map_type = next(2) ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 3 + next(100)};
        struct animal *made = add(MAP, (int)syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a)));
        made->value = next(1000);
        map_call(BPF_MAP_UPDATE_ELEM, (unsigned)made->fd, made->value);
    }
}

static int state_of(int fd)
{
    struct pollfd poller = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
    TARGET_CHECK(poll(&poller, 1, 0) >= 0);
    return poller.revents;
}

/* How many bytes a socket shows of what it holds, and how many files travel with them. */
static int peek(int fd, int *files)
{
    char bytes[4000], control[CMSG_SPACE(sizeof(int) * 4)];
    struct iovec vector = {bytes, sizeof(bytes)};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    *files = 0;
    int length = (int)recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
    for (struct cmsghdr *header = length < 0 ? NULL : CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header))
    {
        for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++, ++*files)
        {
            int file;
            memcpy(&file, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            close(file);
        }
    }

    return length;
}

/* With a message, perhaps with files on their way, perhaps shut or closed at one end. */
static void make_socket(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int ends[2], files[3], count = 0;
    TARGET_EQUAL(0, socketpair(AF_UNIX, types[next(3)] | (next(2) ? SOCK_NONBLOCK : 0), 0, ends));
    char bytes[3000] = {0}, control[CMSG_SPACE(sizeof(files))] = {0};
    int alone = next(2) ? eventfd(next(9), 0) : -1;
    for (int tries = (int)next(3); tries > 0 && animals > 0; tries--)
    {
        const struct animal *other = &zoo[next((uint32_t)animals)];
        if (other->kind == PIPE || other->kind == EVENT || other->kind == TIMER || other->kind == TERMINAL || other->kind == SOCKET)
        {
            files[count++] = other->fd;
        }
    }

    if (alone >= 0)
    {
        files[count++] = alone;
    }

    struct iovec vector = {bytes, 1 + next(sizeof(bytes) - 1)};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0)
    {
        (message.msg_control = control, message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        (header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count));
        memcpy(CMSG_DATA(header), files, sizeof(int) * (size_t)count);
    }

    TARGET_EQUAL(vector.iov_len, sendmsg(ends[0], &message, 0));
    close(alone);
    if (next(4) == 0)
    {
        shutdown(ends[next(2)], (int)next(3));
    }

    struct animal *receiver = add(SOCKET, ends[1]);
    if (next(4) == 0)
    {
        close(ends[0]);
    }
    else
    {
        struct animal *sender = add(SOCKET, ends[0]);
        sender->ready = state_of(sender->fd);
        sender->waiting = peek(sender->fd, &sender->locks);
    }

    receiver->waiting = peek(receiver->fd, &receiver->locks);
    receiver->ready = state_of(receiver->fd);
}

static void make_one(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    switch (next(KINDS))
    {
    case DIRECTORY: make_directory(); break;
    case PIPE: make_pipe(); break;
    case FIFO: make_fifo(); break;
    case EVENT: make_event(); break;
    case TIMER: make_timer(); break;
    case SIGNALS:
        sigaddset(&signals, 34 + (int)next(20));
        add(SIGNALS, signalfd(-1, &signals, SFD_NONBLOCK));
        break;
    case MEMORY: make_memory(); break;
    case SET: make_set(); break;
    case WATCHES: make_watches(); break;
    case TERMINAL: make_terminal(); break;
    case MARKS: make_marks(); break;
    case MAP: make_map(); break;
    case SOCKET: make_socket(); break;
    case DEVICE: add(DEVICE, open(next(2) ? "/dev/null" : "/dev/urandom", O_RDWR | (next(2) ? O_CLOEXEC : 0))); break;
    default: make_regular(); break;
    }
}

static void duplicate_one(void)
{
    int which = (int)next((uint32_t)animals);
    struct animal copy = zoo[which];
    copy.fd = dup(zoo[which].fd);
    TARGET_CHECK(copy.fd >= 0 && animals < MOST);
    copy.same_as = zoo[which].fd;
    copy.common = false;
    zoo[animals++] = copy;
}

/* Members of sets count by their descriptors, so only what nobody refers to goes. */
static void close_one(void)
{
    struct animal *last = &zoo[animals - 1];
    if (!last->common && last->kind != PIPE && last->kind != SOCKET && last->kind != TERMINAL && last->kind != EVENT && last->kind != TIMER && last->kind != SIGNALS)
    {
        close(last->fd);
        animals--;
    }
}

static int locks_of(int fd)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    FILE *info = fopen(path, "r");
    int count = 0;
    while (fgets(line, sizeof(line), info) != NULL)
    {
        count += strncmp(line, "lock:", 5) == 0;
    }

    fclose(info);
    return count;
}

static void record(void)
{
    for (int i = 0; i < animals; i++)
    {
        zoo[i].flags = fcntl(zoo[i].fd, F_GETFL);
        zoo[i].cloexec = fcntl(zoo[i].fd, F_GETFD);
    }
}

static void check(const struct animal *a)
{
    struct stat status;
    int waiting = 0;
    TARGET_EQUAL(a->flags, fcntl(a->fd, F_GETFL));
    TARGET_EQUAL(a->cloexec, fcntl(a->fd, F_GETFD));
    TARGET_EQUAL(0, fstat(a->fd, &status));
    if (a->same_as >= 0)
    {
        TARGET_EQUAL(0, syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a->fd, a->same_as));
    }

    if (a->common)
    {
        TARGET_EQUAL(0, syscall(SYS_kcmp, getpid(), parent, KCMP_FILE, a->fd, a->fd));
    }

    switch (a->kind)
    {
    case REGULAR:
        TARGET_EQUAL(a->size, status.st_size);
        TARGET_EQUAL(a->links, status.st_nlink);
        TARGET_CHECK((a->flags & O_PATH) != 0 || lseek(a->fd, 0, SEEK_CUR) == a->position);
        TARGET_EQUAL(a->locks, (a->flags & O_PATH) != 0 ? a->locks : locks_of(a->fd));
        break;
    case DIRECTORY:
        TARGET_EQUAL(a->links, status.st_nlink);
        break;
    case PIPE:
    case FIFO:
    case WATCHES:
        TARGET_EQUAL(0, ioctl(a->fd, FIONREAD, &waiting));
        TARGET_EQUAL(a->waiting, waiting);
        break;
    case EVENT:
    {
        struct pollfd poller = {a->fd, POLLIN, 0};
        TARGET_EQUAL(a->value != 0, poll(&poller, 1, 0));
        break;
    }
    case TIMER:
    {
        struct itimerspec time;
        TARGET_EQUAL(0, timerfd_gettime(a->fd, &time));
        TARGET_EQUAL(a->value, time.it_interval.tv_sec);
        TARGET_CHECK(time.it_value.tv_sec > 1000);
        break;
    }
    case MEMORY:
    {
        char byte = 0;
        TARGET_EQUAL(a->size, status.st_size);
        TARGET_EQUAL(1, pread(a->fd, &byte, 1, a->size - 1));
        TARGET_EQUAL('m', byte);
        TARGET_EQUAL(a->value, fcntl(a->fd, F_GET_SEALS));
        TARGET_EQUAL(a->position, lseek(a->fd, 0, SEEK_CUR));
        break;
    }
    case SET:
    {
        struct epoll_event ready[MOST];
        TARGET_EQUAL(a->ready, epoll_wait(a->fd, ready, MOST, 0));
        break;
    }
    case TERMINAL:
    {
        struct winsize size = {0, 0, 0, 0};
        TARGET_EQUAL(a->value == 0 ? -1 : 0, ioctl(a->fd, TIOCGWINSZ, &size));
        TARGET_EQUAL(a->value, (uint64_t)size.ws_row << 16 | size.ws_col);
        break;
    }
    case SOCKET:
        TARGET_EQUAL(a->ready, state_of(a->fd));
        TARGET_EQUAL(a->waiting, peek(a->fd, &waiting));
        TARGET_EQUAL(a->locks, waiting);
        break;
    case MAP:
        TARGET_EQUAL(a->value, map_call(BPF_MAP_LOOKUP_ELEM, (unsigned)a->fd, 0));
        break;
    default:
        break;
    }
}

static void live(void)
{
    char byte;
    record();
    TARGET_EQUAL(1, write(ready_write, "r", 1));
    while (read(go_read, &byte, 1) != 1)
    {
        TARGET_EQUAL(EINTR, errno);
    }

    for (int i = 0; i < animals; i++)
    {
        check(&zoo[i]);
    }

    TARGET_EQUAL(1, write(verdict, "k", 1));
    _exit(0);
}

static void grow(int depth)
{
    int steps = 4 + (int)next(14);
    for (int i = 0; i < steps; i++)
    {
        switch (next(6))
        {
        case 0:
            if (animals > 0)
            {
                duplicate_one();
            }
            break;
        case 1:
            if (animals > 0 && zoo[animals - 1].same_as < 0)
            {
                close_one();
            }
            break;
        default:
            make_one();
            break;
        }
    }

    for (int i = depth < DEPTH ? (int)next(MOST_CHILDREN - (uint32_t)depth) : 0; i > 0 && children < 12; i--)
    {
        uint64_t seed = (uint64_t)next(1u << 30) << 20 | next(1u << 20);
        pid_t self = getpid();
        children++;
        pid_t pid = fork();
        TARGET_CHECK(pid >= 0);
        if (pid == 0)
        {
            parent = self;
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            random_state = seed;
            children = 100;
            for (int j = 0; j < animals; j++)
            {
                zoo[j].common = true;
            }

            grow(DEPTH);
            live();
        }
    }
}

int main(int count, char **arguments)
{
    int ready[2], go[2], said[2];
    char byte;
    target_begin(count, arguments);
    const char *seed = getenv("SEED");
    random_state = seed == NULL ? 1 : strtoull(seed, NULL, 10) * 2654435761u + 1;
    snprintf(folder, sizeof(folder), "%s", target_folder());
    TARGET_EQUAL(0, pipe(ready) | pipe(go) | pipe(said));
    (ready_read = ready[0], ready_write = ready[1], go_read = go[0], go_write = go[1], verdict = said[1]);
    grow(0);
    record();
    for (int i = 0; i < children; i++)
    {
        TARGET_EQUAL(1, read(ready_read, &byte, 1));
    }

    target_ready();
    while (target_running(1000))
    {
    }

    for (int i = 0; i < animals; i++)
    {
        check(&zoo[i]);
    }

    for (int i = 0; i < children; i++)
    {
        TARGET_EQUAL(1, write(go_write, "g", 1));
    }

    for (int i = 0; i < children; i++)
    {
        struct pollfd poller = {said[0], POLLIN, 0};
        TARGET_EQUAL(1, poll(&poller, 1, 20000));
        TARGET_EQUAL(1, read(said[0], &byte, 1));
    }

    return target_end();
}
