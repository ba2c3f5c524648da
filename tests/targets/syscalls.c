/*
 * Kernel object: system calls that a freeze interrupts (ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND and
 * ERESTART_RESTARTBLOCK in the kernel's arch/x86/kernel/signal.c). Each thread sits in one that ends only when the
 * program is about to end. A call must be restarted unseen, or, where the kernel keeps the rest of a timeout only
 * in a restart block, may fail with EINTR, but with nothing else; after that it is simply called again.
 */
#include "target.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/uio.h>

struct call
{
    const char *name;
    int64_t (*enter)(struct call *);   /* blocks; returns the result, -1 with errno */
    void (*release)(struct call *);    /* lets it end with the wanted result */
    int64_t wanted;                    /* the result once it was released */
    int wanted_errno;                  /* if wanted is -1 */
    bool may_interrupt;                /* EINTR is right when nobody sent a signal */
    pthread_t thread;
    _Atomic pid_t tid;
    int pipe[2];
    uint32_t word;
    _Atomic bool released, done;
};

enum { wake_signal = 40, wait_signal = 41 };

static volatile sig_atomic_t handled;

static void on_wake(int signal)
{
    (void)signal;
    handled++;
}

static const char byte = 'x';

static void release_pipe(struct call *call)
{
    TARGET_EQUAL(1, write(call->pipe[1], &byte, 1));
}

static void release_signal(struct call *call)
{
    TARGET_EQUAL(0, pthread_kill(call->thread, wake_signal));
}

static void release_futex(struct call *call)
{
    call->word = 1;
    TARGET_CHECK(syscall(SYS_futex, &call->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0);
}

static int64_t enter_read(struct call *call)
{
    char buffer[16];
    return read(call->pipe[0], buffer, sizeof(buffer));
}

static int64_t enter_readv(struct call *call)
{
    char buffer[16];
    struct iovec vectors[2] = {{buffer, 8}, {buffer + 8, 8}};
    return readv(call->pipe[0], vectors, 2);
}

/* The pipe is full: the write waits until somebody reads. */
static int64_t enter_write(struct call *call)
{
    static char block[65536];
    return write(call->pipe[1], block, 4096);
}

static void prepare_write(struct call *call)
{
    char block[4096] = {0};
    int capacity = fcntl(call->pipe[1], F_GETPIPE_SZ);
    for (int filled = 0; filled < capacity; filled += 4096)
    {
        TARGET_EQUAL(4096, write(call->pipe[1], block, 4096));
    }
}

static void release_write(struct call *call)
{
    char block[4096];
    TARGET_EQUAL(4096, read(call->pipe[0], block, 4096));
}

static int64_t enter_splice(struct call *call)
{
    static int null = -1;
    if (null < 0)
    {
        null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    }
    return splice(call->pipe[0], NULL, null, NULL, 100, 0);
}

static int64_t enter_futex(struct call *call)
{
    return syscall(SYS_futex, &call->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static int64_t enter_futex_relative(struct call *call)
{
    struct timespec time = {3600, 0};
    return syscall(SYS_futex, &call->word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
}

static int64_t enter_futex_absolute(struct call *call)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += 3600;
    return syscall(SYS_futex, &call->word, FUTEX_WAIT_BITSET_PRIVATE, 0, &time, NULL, FUTEX_BITSET_MATCH_ANY);
}

static int64_t enter_nanosleep(struct call *call)
{
    struct timespec left = {-1, -1}, time = {3600, 500};
    (void)call;
    int result = nanosleep(&time, &left);
    int error = errno;
    /* What is left is told when a signal ends the sleep. */
    TARGET_CHECK(left.tv_sec >= 3000 && left.tv_sec <= 3600 && left.tv_nsec >= 0 && left.tv_nsec < 1000000000);
    errno = error;
    return result;
}

static int64_t enter_clock_nanosleep(struct call *call)
{
    struct timespec time;
    (void)call;
    clock_gettime(CLOCK_BOOTTIME, &time);
    time.tv_sec += 3600;
    int error = clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &time, NULL);
    errno = error;
    return error == 0 ? 0 : -1;
}

static int64_t enter_poll(struct call *call)
{
    struct pollfd descriptor = {call->pipe[0], POLLIN, 0};
    return poll(&descriptor, 1, -1);
}

static int64_t enter_poll_timeout(struct call *call)
{
    struct pollfd descriptor = {call->pipe[0], POLLIN, 0};
    return poll(&descriptor, 1, 3600000);
}

static int64_t enter_ppoll(struct call *call)
{
    struct timespec time = {3600, 0};
    struct pollfd descriptor = {call->pipe[0], POLLIN, 0};
    return ppoll(&descriptor, 1, &time, NULL);
}

static int64_t enter_select(struct call *call)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(call->pipe[0], &set);
    return select(call->pipe[0] + 1, &set, NULL, NULL, NULL);
}

static int64_t enter_pselect(struct call *call)
{
    fd_set set;
    struct timespec time = {3600, 0};
    FD_ZERO(&set);
    FD_SET(call->pipe[0], &set);
    return pselect(call->pipe[0] + 1, &set, NULL, NULL, &time, NULL);
}

static int64_t enter_pause(struct call *call)
{
    (void)call;
    return pause();
}

static int64_t enter_sigsuspend(struct call *call)
{
    sigset_t set;
    (void)call;
    sigfillset(&set);
    sigdelset(&set, wake_signal);
    return sigsuspend(&set);
}

static int64_t enter_sigwaitinfo(struct call *call)
{
    sigset_t set;
    (void)call;
    sigemptyset(&set);
    sigaddset(&set, wait_signal);
    return sigwaitinfo(&set, NULL);
}

static void release_sigwaitinfo(struct call *call)
{
    TARGET_EQUAL(0, pthread_kill(call->thread, wait_signal));
}

/* Opening a FIFO waits for the other side; there is no descriptor yet. */
static int64_t enter_open_fifo(struct call *call)
{
    (void)call;
    return open(target_file("fifo"), O_RDONLY) >= 0 ? 0 : -1;
}

static void release_open_fifo(struct call *call)
{
    (void)call;
    TARGET_CHECK(open(target_file("fifo"), O_WRONLY) >= 0);
}

/* A futex that the kernel itself passes on; the main thread holds it. */
static int64_t enter_lock_pi(struct call *call)
{
    return syscall(SYS_futex, &call->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
}

static void release_lock_pi(struct call *call)
{
    TARGET_CHECK(syscall(SYS_futex, &call->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
}

static struct call calls[] = {
    {.name = "read", .enter = enter_read, .release = release_pipe, .wanted = 1},
    {.name = "readv", .enter = enter_readv, .release = release_pipe, .wanted = 1},
    {.name = "write", .enter = enter_write, .release = release_write, .wanted = 4096},
    {.name = "splice", .enter = enter_splice, .release = release_pipe, .wanted = 1},
    {.name = "futex", .enter = enter_futex, .release = release_futex, .wanted = 0},
    {.name = "futex with a timeout", .enter = enter_futex_relative, .release = release_futex, .may_interrupt = true},
    {.name = "futex with a deadline", .enter = enter_futex_absolute, .release = release_futex, .may_interrupt = true},
    {.name = "futex lock-pi", .enter = enter_lock_pi, .release = release_lock_pi, .wanted = 0},
    {.name = "nanosleep", .enter = enter_nanosleep, .release = release_signal, .wanted = -1, .wanted_errno = EINTR,
     .may_interrupt = true},
    {.name = "clock_nanosleep with a deadline", .enter = enter_clock_nanosleep, .release = release_signal, .wanted = -1,
     .wanted_errno = EINTR},
    {.name = "poll", .enter = enter_poll, .release = release_pipe, .wanted = 1, .may_interrupt = true},
    {.name = "poll with a timeout", .enter = enter_poll_timeout, .release = release_pipe, .wanted = 1, .may_interrupt = true},
    {.name = "ppoll", .enter = enter_ppoll, .release = release_pipe, .wanted = 1},
    {.name = "select", .enter = enter_select, .release = release_pipe, .wanted = 1},
    {.name = "pselect", .enter = enter_pselect, .release = release_pipe, .wanted = 1},
    {.name = "pause", .enter = enter_pause, .release = release_signal, .wanted = -1, .wanted_errno = EINTR},
    {.name = "rt_sigsuspend", .enter = enter_sigsuspend, .release = release_signal, .wanted = -1, .wanted_errno = EINTR},
    {.name = "rt_sigtimedwait", .enter = enter_sigwaitinfo, .release = release_sigwaitinfo, .wanted = wait_signal,
     .may_interrupt = true}, /* signal(7): EINTR after a stop */
    {.name = "open of a FIFO", .enter = enter_open_fifo, .release = release_open_fifo, .wanted = 0},
};

static void *work(void *argument)
{
    struct call *call = argument;
    int64_t result;

    call->tid = (pid_t)syscall(SYS_gettid);
    for (;;)
    {
        errno = 0;
        result = call->enter(call);
        if (call->released || !call->may_interrupt || result != -1 || errno != EINTR)
        {
            break;
        }
    }

    if (!call->released)
    {
        target_fail("%s ended with %lld (errno %d) though nothing happened", call->name, (long long)result, errno);
    }
    if (result != call->wanted || (result == -1 && errno != call->wanted_errno))
    {
        target_fail("%s gave %lld (errno %d), expected %lld (errno %d)", call->name, (long long)result, errno,
                    (long long)call->wanted, call->wanted_errno);
    }
    call->done = true;
    for (;;)
    {
        pause();
    }
}

/* Waits until the thread sleeps in the kernel. */
static void await_sleep(pid_t tid)
{
    char path[64], line[256];
    for (;;)
    {
        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
        FILE *file = fopen(path, "r");
        TARGET_CHECK(file != NULL && fgets(line, sizeof(line), file) != NULL);
        fclose(file);
        if (strstr(strrchr(line, ')'), ") S ") != NULL)
        {
            return;
        }
        usleep(1000);
    }
}

static void finish(struct call *call)
{
    call->released = true;
    call->release(call);
    int64_t deadline = target_now() + 10000000000;
    while (!call->done)
    {
        usleep(1000);
        if (target_now() > deadline)
        {
            target_fail("%s goes on waiting though it was released", call->name);
        }
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_wake}; /* no SA_RESTART: a real signal interrupts */
    sigset_t set;

    target_begin(argc, argv);
    TARGET_CHECK(sigaction(wake_signal, &action, NULL) == 0);
    sigemptyset(&set);
    sigaddset(&set, wait_signal);
    TARGET_CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    unlink(target_file("fifo"));
    TARGET_CHECK(mkfifo(target_file("fifo"), 0600) == 0);
    for (size_t i = 0; i < TARGET_COUNT(calls); i++)
    {
        TARGET_CHECK(pipe(calls[i].pipe) == 0);
        if (calls[i].enter == enter_write)
        {
            prepare_write(&calls[i]);
        }
        if (calls[i].enter == enter_lock_pi)
        {
            TARGET_CHECK(syscall(SYS_futex, &calls[i].word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
        }
        calls[i].thread = target_thread(work, &calls[i]);
    }
    for (size_t i = 0; i < TARGET_COUNT(calls); i++)
    {
        while (calls[i].tid == 0)
        {
            usleep(1000);
        }
        await_sleep(calls[i].tid);
    }

    target_ready();
    while (target_running(100))
    {
    }

    for (size_t i = 0; i < TARGET_COUNT(calls); i++)
    {
        finish(&calls[i]);
    }
    TARGET_EQUAL(4, handled);
    return target_end();
}
