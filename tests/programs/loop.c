/*
 * A program around an epoll set: a timer, a counter that a thread adds to, a pipe that the thread writes to, and signals. Until it is told to stop; then everything that
 * was sent must have come.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { TIMER, COUNTER, PIPE, SIGNALS, KINDS };

static int files[KINDS], pipe_end;
static uint64_t came[KINDS];
static uint64_t sent[KINDS];
static atomic_bool ending;

static void *send_all(void *nothing)
{
    for (uint64_t i = 1; !atomic_load(&ending); i++)
    {
        uint64_t value = i % 7 + 1;
        sent[COUNTER] += write(files[COUNTER], &value, sizeof(value)) == sizeof(value) ? value : 0;
        ssize_t written = write(pipe_end, "abc", i % 3 + 1);
        sent[PIPE] += written > 0 ? (uint64_t)written : 0;
        if (i % 10 == 0 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0)
        {
            sent[SIGNALS]++;
        }

        usleep(200);
    }

    return nothing;
}

static void take(int kind)
{
    uint8_t buffer[4096];
    uint64_t value;
    ssize_t length;
    switch (kind)
    {
        case PIPE:
            came[PIPE] += (length = read(files[PIPE], buffer, sizeof(buffer))) > 0 ? (uint64_t)length : 0;
            break;
        case SIGNALS:
            length = read(files[SIGNALS], buffer, sizeof(struct signalfd_siginfo));
            came[SIGNALS] += length == sizeof(struct signalfd_siginfo);
            break;
        default:
            came[kind] += read(files[kind], &value, sizeof(value)) == sizeof(value) ? value : 0;
            break;
    }
}

int main(int count, char **arguments)
{
    const char *folder = arguments[count - 1];
    char path[4096], stop[4096];
    int ends[2], set = epoll_create1(0);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    files[TIMER] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    files[COUNTER] = eventfd(0, EFD_NONBLOCK);
    files[SIGNALS] = signalfd(-1, &mask, SFD_NONBLOCK);
    if (pipe2(ends, O_NONBLOCK) != 0)
    {
        return 1;
    }

    files[PIPE] = ends[0];
    pipe_end = ends[1];
    for (uint32_t kind = 0; kind < KINDS; kind++)
    {
        struct epoll_event watch = {.events = EPOLLIN, .data.u32 = kind};
        epoll_ctl(set, EPOLL_CTL_ADD, files[kind], &watch);
    }

    struct itimerspec each = {.it_value.tv_nsec = 5000000, .it_interval.tv_nsec = 5000000};
    timerfd_settime(files[TIMER], 0, &each, NULL);
    pthread_t sender;
    pthread_create(&sender, NULL, send_all, NULL);
    snprintf(path, sizeof(path), "%s/progress", folder);
    snprintf(stop, sizeof(stop), "%s/stop", folder);

    /* When nothing is sent any more, it goes on until nothing comes but the timer. */
    uint64_t ticks_at_end = 0;
    while (ticks_at_end == 0 || came[TIMER] < ticks_at_end + 20)
    {
        struct epoll_event events[KINDS];
        int ready = epoll_wait(set, events, KINDS, 1000);
        for (int i = 0; i < ready; i++)
        {
            take((int)events[i].data.u32);
        }

        if (ticks_at_end == 0 && access(stop, F_OK) == 0)
        {
            atomic_store(&ending, true);
            pthread_join(sender, NULL);
            ticks_at_end = came[TIMER] + 1;
        }

        FILE *progress = fopen(path, "w");
        fprintf(progress, "%lu\n", came[TIMER]);
        fclose(progress);
    }

    int right = came[COUNTER] == sent[COUNTER] && came[PIPE] == sent[PIPE] && came[SIGNALS] == sent[SIGNALS] && came[SIGNALS] > 0;
    snprintf(path, sizeof(path), "%s/result", folder);
    FILE *result = fopen(path, "w");
    fputs(right ? "right" : "wrong", result);
    fclose(result);
    return 0;
}
