/*
 * Files that are made of events: eventfd (a counter, a semaphore), timerfd (running, expired, absolute), signalfd, epoll (with duplicated and nested
 * members), inotify, pidfd (of itself, of a process that is gone), named pipes with and without anybody on the other end.
 */
#include "target.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

static int counter, semaphore, running, expired, absolute, signals, inner, outer, watcher, own, gone, both, writer, reader;
static int watch_folder, watch_file;
static char watched[3 * PATH_MAX], path[3 * PATH_MAX];

static uint64_t word(int fd)
{
    uint64_t value = 0;
    TARGET_EQUAL(sizeof(value), read(fd, &value, sizeof(value)));
    return value;
}

static void put(int fd, uint64_t value)
{
    TARGET_EQUAL(sizeof(value), write(fd, &value, sizeof(value)));
}

static void watch(int set, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    TARGET_EQUAL(0, epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static void make_timers(void)
{
    struct itimerspec slow = {{1000, 0}, {5000, 0}}, fast = {{0, 1000000}, {0, 1000000}}, once = {{0, 0}, {0, 0}};
    running = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    expired = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    absolute = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    TARGET_EQUAL(0, timerfd_settime(running, 0, &slow, NULL));
    TARGET_EQUAL(0, timerfd_settime(expired, 0, &fast, NULL));
    usleep(20000);
    clock_gettime(CLOCK_REALTIME, &once.it_value);
    once.it_value.tv_sec += 3600;
    TARGET_EQUAL(0, timerfd_settime(absolute, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &once, NULL));
}

static void make_epoll(void)
{
    inner = epoll_create1(0);
    outer = epoll_create1(EPOLL_CLOEXEC);
    watch(inner, counter, EPOLLIN, 0x1111222233334444);
    watch(inner, semaphore, EPOLLIN | EPOLLONESHOT, 2);
    int other = dup(running);
    watch(inner, other, EPOLLIN | EPOLLET, 3);
    close(other);
    watch(outer, inner, EPOLLIN, 4);
}

static void make_watches(void)
{
    snprintf(watched, sizeof(watched), "%s/watched", target_folder());
    int fd = open(watched, O_CREAT | O_WRONLY, 0600);
    TARGET_CHECK(fd >= 0);
    close(fd);
    watcher = inotify_init1(IN_NONBLOCK);
    TARGET_EQUAL(1, inotify_add_watch(watcher, "/", IN_MOVED_TO | IN_ONLYDIR));
    watch_folder = inotify_add_watch(watcher, target_folder(), IN_CREATE | IN_EXCL_UNLINK);
    watch_file = inotify_add_watch(watcher, watched, IN_MODIFY);
    TARGET_EQUAL(0, inotify_rm_watch(watcher, 1));
    char event[4096];
    TARGET_CHECK(read(watcher, event, sizeof(event)) > 0);
}

static void make_pipes(void)
{
    snprintf(path, sizeof(path), "%s/both", target_folder());
    TARGET_EQUAL(0, mkfifo(path, 0600));
    both = open(path, O_RDWR);
    TARGET_EQUAL(5, write(both, "alone", 5));
    snprintf(path, sizeof(path), "%s/pair", target_folder());
    TARGET_EQUAL(0, mkfifo(path, 0600));
    reader = open(path, O_RDONLY | O_NONBLOCK);
    writer = open(path, O_WRONLY | O_APPEND);
    TARGET_EQUAL(6, write(writer, "couple", 6));
}

static void make_processes(void)
{
    own = (int)syscall(SYS_pidfd_open, getpid(), 0);
    TARGET_CHECK(own >= 0);
    pid_t pid = fork();
    if (pid == 0)
    {
        _exit(0);
    }

    gone = (int)syscall(SYS_pidfd_open, pid, 0);
    TARGET_CHECK(gone >= 0);
    TARGET_EQUAL(pid, waitpid(pid, NULL, 0));
}

static void check_events(void)
{
    TARGET_EQUAL(77, word(counter));
    TARGET_EQUAL(1, word(semaphore));
    TARGET_EQUAL(1, word(semaphore));
    put(semaphore, 3);
    struct epoll_event ready[8];
    TARGET_EQUAL(1, epoll_wait(outer, ready, 8, 0));
    TARGET_EQUAL(4, ready[0].data.u64);
    TARGET_EQUAL(1, epoll_wait(inner, ready, 8, 0));
    TARGET_EQUAL(2, ready[0].data.u64);
    TARGET_EQUAL(0, epoll_wait(inner, ready, 8, 0));
    put(counter, 5);
    TARGET_EQUAL(1, epoll_wait(inner, ready, 8, 0));
    TARGET_EQUAL(0x1111222233334444, ready[0].data.u64);
    struct epoll_event again = {.events = EPOLLIN, .data.u64 = 9};
    TARGET_EQUAL(0, epoll_ctl(inner, EPOLL_CTL_MOD, semaphore, &again));
}

static void check_timers(void)
{
    struct itimerspec now;
    TARGET_EQUAL(0, timerfd_gettime(running, &now));
    TARGET_EQUAL(1000, now.it_interval.tv_sec);
    TARGET_CHECK(now.it_value.tv_sec > 4000 && now.it_value.tv_sec < 5000);
    TARGET_EQUAL(0, timerfd_gettime(absolute, &now));
    TARGET_CHECK(now.it_value.tv_sec > 3000 && now.it_value.tv_sec <= 3600);
    TARGET_CHECK(word(expired) >= 20);
}

static void check_signals(void)
{
    struct signalfd_siginfo info;
    TARGET_EQUAL(sizeof(info), read(signals, &info, sizeof(info)));
    TARGET_EQUAL(SIGUSR2, info.ssi_signo);
    TARGET_EQUAL(-1, read(signals, &info, sizeof(info)));
    TARGET_EQUAL(EAGAIN, errno);
}

static void check_watches(void)
{
    char buffer[4096] __attribute__((aligned(8)));
    TARGET_EQUAL(-1, read(watcher, buffer, sizeof(buffer)));
    TARGET_EQUAL(EAGAIN, errno);
    int fd = open(watched, O_WRONLY | O_TRUNC);
    TARGET_EQUAL(1, write(fd, "x", 1));
    close(fd);
    const struct inotify_event *event = (const struct inotify_event *)buffer;
    TARGET_CHECK(read(watcher, buffer, sizeof(buffer)) > 0);
    TARGET_EQUAL(watch_file, event->wd);
    TARGET_EQUAL(IN_MODIFY, event->mask);
    snprintf(path, sizeof(path), "%s/new", target_folder());
    close(open(path, O_CREAT | O_WRONLY, 0600));
    TARGET_CHECK(read(watcher, buffer, sizeof(buffer)) > 0);
    TARGET_EQUAL(watch_folder, event->wd);
    TARGET_EQUAL(IN_CREATE, event->mask);
}

static void check_pipes(void)
{
    char text[16] = {0};
    TARGET_EQUAL(5, read(both, text, sizeof(text)));
    TARGET_EQUAL(0, strcmp(text, "alone"));
    TARGET_EQUAL(6, read(reader, text, sizeof(text)));
    TARGET_EQUAL(0, strcmp(text, "couple"));
    close(writer);
    TARGET_EQUAL(0, read(reader, text, sizeof(text)));
}

static void check_processes(void)
{
    struct pollfd wait[] = {{own, POLLIN, 0}, {gone, POLLIN, 0}};
    TARGET_EQUAL(1, poll(wait, 2, 0));
    TARGET_CHECK((wait[1].revents & POLLIN) != 0);
    TARGET_EQUAL(0, syscall(SYS_pidfd_send_signal, own, 0, NULL, 0));
    TARGET_EQUAL(-1, syscall(SYS_pidfd_send_signal, gone, 0, NULL, 0));
    TARGET_EQUAL(ESRCH, errno);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    counter = eventfd(77, EFD_NONBLOCK | EFD_CLOEXEC);
    semaphore = eventfd(2, EFD_SEMAPHORE);
    make_timers();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    TARGET_EQUAL(0, sigprocmask(SIG_BLOCK, &set, NULL));
    signals = signalfd(-1, &set, SFD_NONBLOCK);
    TARGET_EQUAL(0, kill(getpid(), SIGUSR2));
    make_epoll();
    make_pipes();
    make_processes();
    make_watches();
    target_ready();
    while (target_running(100))
    {
    }

    check_signals();
    check_events();
    check_timers();
    check_watches();
    check_pipes();
    check_processes();
    return target_end();
}
