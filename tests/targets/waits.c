/*
 * Kernel object: fifty tasks of one thread group, each blocked in (or between) waits of its own kind: futexes with
 * and without a timeout, relative and absolute sleeps, pipe reads, poll, select, sigwait, condition variables, and
 * AVX arithmetic that never waits. The main thread keeps feeding them; at the end each must still make progress,
 * and no timed wait may have ended early by CLOCK_MONOTONIC.
 */
#include "target.h"

#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/select.h>

enum { kinds = 10, of_each = 5 };

struct worker
{
    const char *name;
    pthread_t thread;
    _Atomic pid_t tid;
    _Atomic uint64_t rounds;
    _Atomic uint32_t word;
    int pipe[2];
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    unsigned tickets;
    sem_t semaphore;
    void (*wait_once)(struct worker *);
    void (*feed)(struct worker *);
};

static struct worker workers[kinds * of_each];

static void check_waited(const struct worker *worker, int64_t since, int64_t nanoseconds)
{
    int64_t waited = target_now() - since;
    if (waited < nanoseconds)
    {
        target_fail("%s: waited %lld ns of %lld", worker->name, (long long)waited, (long long)nanoseconds);
    }
}

static struct timespec monotonic_after(int64_t nanoseconds)
{
    int64_t time = target_now() + nanoseconds;
    return (struct timespec){time / 1000000000, time % 1000000000};
}

static void futex_wait(struct worker *worker)
{
    while (atomic_load(&worker->word) == 0)
    {
        long result = syscall(SYS_futex, &worker->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        TARGET_CHECK(result == 0 || errno == EAGAIN || errno == EINTR);
    }
    atomic_fetch_sub(&worker->word, 1);
}

static void futex_feed(struct worker *worker)
{
    atomic_fetch_add(&worker->word, 1);
    TARGET_CHECK(syscall(SYS_futex, &worker->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0);
}

static void relative_sleep(struct worker *worker)
{
    struct timespec left = {0, 30000000};
    int64_t start = target_now();
    while (nanosleep(&left, &left) != 0)
    {
        TARGET_CHECK(errno == EINTR);
    }
    check_waited(worker, start, 30000000);
}

static void absolute_sleep(struct worker *worker)
{
    int64_t start = target_now();
    struct timespec deadline = monotonic_after(30000000);
    int error;
    while ((error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL)) != 0)
    {
        TARGET_EQUAL(EINTR, error);
    }
    check_waited(worker, start, 30000000);
}

static void pipe_read(struct worker *worker)
{
    uint64_t number;
    TARGET_EQUAL(sizeof(number), read(worker->pipe[0], &number, sizeof(number)));
    TARGET_EQUAL(worker->rounds, number);
}

static void pipe_feed(struct worker *worker)
{
    static uint64_t next[TARGET_COUNT(workers)];
    uint64_t *number = &next[worker - workers];
    if (*number <= worker->rounds)
    {
        TARGET_EQUAL(sizeof(*number), write(worker->pipe[1], number, sizeof(*number)));
        ++*number;
    }
}

static void poll_timeout(struct worker *worker)
{
    struct pollfd descriptor = {worker->pipe[0], POLLIN, 0};
    int64_t start = target_now();
    int result = poll(&descriptor, 1, 25);
    if (result < 0)
    {
        TARGET_EQUAL(EINTR, errno);
        return;
    }
    TARGET_EQUAL(0, result);
    check_waited(worker, start, 25000000);
}

static void select_read(struct worker *worker)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(worker->pipe[0], &set);
    int result = select(worker->pipe[0] + 1, &set, NULL, NULL, NULL);
    TARGET_EQUAL(1, result);
    pipe_read(worker);
}

static void signal_wait(struct worker *worker)
{
    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    int result = sigwaitinfo(&set, &info);
    if (result < 0)
    {
        TARGET_EQUAL(EINTR, errno);
        return;
    }
    TARGET_EQUAL(SIGRTMIN + 3, result);
    TARGET_EQUAL(worker->tid, info.si_value.sival_int);
}

static void signal_feed(struct worker *worker)
{
    union sigval value = {.sival_int = worker->tid};
    int error = pthread_sigqueue(worker->thread, SIGRTMIN + 3, value);
    TARGET_CHECK(error == 0 || error == EAGAIN);
}

static void condition_timed(struct worker *worker)
{
    int64_t start = target_now();
    struct timespec deadline = monotonic_after(40000000);
    TARGET_EQUAL(0, pthread_mutex_lock(&worker->mutex));
    while (worker->tickets == 0)
    {
        int error = pthread_cond_timedwait(&worker->condition, &worker->mutex, &deadline);
        if (error != 0)
        {
            TARGET_EQUAL(ETIMEDOUT, error);
            check_waited(worker, start, 40000000);
            break;
        }
    }
    worker->tickets = 0;
    TARGET_EQUAL(0, pthread_mutex_unlock(&worker->mutex));
}

static void condition_feed(struct worker *worker)
{
    /* Every second time: so that both the wakeup and the timeout happen. */
    if (worker->rounds % 2 == 0)
    {
        TARGET_EQUAL(0, pthread_mutex_lock(&worker->mutex));
        worker->tickets++;
        TARGET_EQUAL(0, pthread_cond_signal(&worker->condition));
        TARGET_EQUAL(0, pthread_mutex_unlock(&worker->mutex));
    }
}

static void semaphore_wait(struct worker *worker)
{
    while (sem_wait(&worker->semaphore) != 0)
    {
        TARGET_CHECK(errno == EINTR);
    }
}

static void semaphore_feed(struct worker *worker)
{
    TARGET_CHECK(sem_post(&worker->semaphore) == 0 || errno == EOVERFLOW);
}

/* Sums that have a known result, in as wide vectors as the machine has. */
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3"))) static double arithmetic(const double *numbers, int count)
{
    double lanes[8] = {0};
    for (int turn = 0; turn < 20000; turn++)
    {
        for (int i = 0; i < count; i++)
        {
            lanes[i % 8] += numbers[i] * 2;
        }
    }
    return lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
}

static void compute(struct worker *worker)
{
    double numbers[64];
    for (int i = 0; i < 64; i++)
    {
        numbers[i] = i + (double)(worker->rounds % 16);
    }
    TARGET_EQUAL(20000LL * 2 * (64 * 63 / 2 + 64 * (worker->rounds % 16)), arithmetic(numbers, 64));
}

static const struct
{
    const char *name;
    void (*wait_once)(struct worker *);
    void (*feed)(struct worker *);
} kind_table[kinds] = {
    {"futex", futex_wait, futex_feed},
    {"nanosleep", relative_sleep, NULL},
    {"clock_nanosleep", absolute_sleep, NULL},
    {"read", pipe_read, pipe_feed},
    {"poll", poll_timeout, NULL},
    {"select", select_read, pipe_feed},
    {"sigwaitinfo", signal_wait, signal_feed},
    {"pthread_cond_timedwait", condition_timed, condition_feed},
    {"sem_wait", semaphore_wait, semaphore_feed},
    {"compute", compute, NULL},
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    worker->tid = (pid_t)syscall(SYS_gettid);
    for (;;)
    {
        worker->wait_once(worker);
        worker->rounds++;
        TARGET_EQUAL(worker->tid, syscall(SYS_gettid));
        if (worker->wait_once == compute)
        {
            usleep(10000);
        }
    }
}

static void start(struct worker *worker, int kind)
{
    pthread_condattr_t attributes;
    worker->name = kind_table[kind].name;
    worker->wait_once = kind_table[kind].wait_once;
    worker->feed = kind_table[kind].feed;
    TARGET_CHECK(pipe(worker->pipe) == 0);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->condition, &attributes);
    TARGET_CHECK(sem_init(&worker->semaphore, 0, 0) == 0);
    worker->thread = target_thread(work, worker);
    while (worker->tid == 0)
    {
        usleep(1000);
    }
}

static void feed_all(void)
{
    for (size_t i = 0; i < TARGET_COUNT(workers); i++)
    {
        if (workers[i].feed != NULL)
        {
            workers[i].feed(&workers[i]);
        }
    }
}

/* Every worker must get at least two rounds further. */
static void check_progress(void)
{
    uint64_t before[TARGET_COUNT(workers)];
    int64_t deadline = target_now() + 10000000000;
    for (size_t i = 0; i < TARGET_COUNT(workers); i++)
    {
        before[i] = workers[i].rounds;
    }

    for (size_t i = 0; i < TARGET_COUNT(workers); i++)
    {
        while (workers[i].rounds < before[i] + 2)
        {
            feed_all();
            usleep(20000);
            if (target_now() > deadline)
            {
                target_fail("%s of thread %d got stuck in round %llu", workers[i].name, workers[i].tid,
                            (unsigned long long)workers[i].rounds);
            }
        }
    }
}

int main(int argc, char **argv)
{
    sigset_t set;

    target_begin(argc, argv);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    TARGET_CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    for (size_t i = 0; i < TARGET_COUNT(workers); i++)
    {
        start(&workers[i], (int)i % kinds);
    }

    check_progress();
    target_ready();
    while (target_running(20))
    {
        feed_all();
    }

    check_progress();
    return target_end();
}
