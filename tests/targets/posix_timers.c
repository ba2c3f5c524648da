/*
 * Kernel object: POSIX timers of one process. Numbers with gaps, four clocks and the process's own processor time,
 * every way to tell (signal with a value, one certain thread, not at all), a timer that is not running, one whose
 * last signal stood for six expirations, and one whose signal is blocked. Time that was left may only get less.
 */
#include "target.h"

enum { long_wait = 600, periods = 5, period = 1000 };

static timer_t make(clockid_t clock, int notify, int signal, int value, pid_t tid)
{
    struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_int = value};
    timer_t timer;
    event._sigev_un._tid = tid;
    TARGET_CHECK(timer_create(clock, &event, &timer) == 0);
    return timer;
}

static void start(timer_t timer, int flags, struct timespec first, struct timespec interval)
{
    struct itimerspec spec = {interval, first};
    TARGET_CHECK(timer_settime(timer, flags, &spec, NULL) == 0);
}

static void check_left(timer_t timer, long most, long least, long interval)
{
    struct itimerspec spec;
    TARGET_CHECK(timer_gettime(timer, &spec) == 0);
    TARGET_EQUAL(interval, spec.it_interval.tv_sec);
    if (spec.it_value.tv_sec > most || spec.it_value.tv_sec < least)
    {
        target_fail("%ld s are left, expected %ld to %ld", (long)spec.it_value.tv_sec, least, most);
    }
}

static _Atomic uint64_t ticks, thread_ticks;
static _Atomic pid_t thread_tid;

static void on_tick(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    TARGET_EQUAL(SI_TIMER, info->si_code);
    TARGET_EQUAL(77, info->si_value.sival_int);
    ticks++;
}

static void on_thread_tick(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    TARGET_EQUAL(78, info->si_value.sival_int);
    TARGET_EQUAL(thread_tid, gettid());
    thread_ticks++;
}

static void *wait_for_ticks(void *argument)
{
    sigset_t tick;
    sigemptyset(&tick);
    sigaddset(&tick, SIGRTMIN + 1);
    pthread_sigmask(SIG_BLOCK, &tick, NULL);
    thread_tid = gettid();
    for (;;)
    {
        pause();
    }
    return argument;
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    TARGET_CHECK(sigaction(signal, &action, NULL) == 0);
}

static void block(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    TARGET_CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

/* A timer that expired first 5.5 periods ago: when its signal is taken, five expirations were missed. */
static timer_t make_overrun(void)
{
    timer_t timer = make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 3, 0, 0);
    struct timespec now;
    sigset_t set;
    siginfo_t info;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= periods * period + period / 2;
    start(timer, TIMER_ABSTIME, now, (struct timespec){period, 0});
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    TARGET_EQUAL(SIGRTMIN + 3, sigwaitinfo(&set, &info));
    TARGET_EQUAL(periods, info.si_overrun);
    TARGET_EQUAL(periods, timer_getoverrun(timer));
    return timer;
}

static timer_t make_with_gap(void)
{
    timer_t gaps[40];
    for (size_t i = 0; i < TARGET_COUNT(gaps); i++)
    {
        gaps[i] = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
    }
    for (size_t i = 0; i + 1 < TARGET_COUNT(gaps); i++)
    {
        TARGET_CHECK(timer_delete(gaps[i]) == 0);
    }
    return gaps[TARGET_COUNT(gaps) - 1];
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    /* Blocked in every thread: nobody but sigwaitinfo may take them. */
    block(SIGRTMIN + 3);
    block(SIGRTMIN + 4);
    handle(SIGRTMIN + 1, on_tick);
    handle(SIGRTMIN + 2, on_thread_tick);
    target_thread(wait_for_ticks, NULL);
    while (thread_tid == 0)
    {
        sched_yield();
    }

    timer_t real = make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGUSR1, 0, 0);
    timer_t silent = make_with_gap();
    timer_t boot = make(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGUSR2, 5, 0);
    timer_t idle = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 6, 0);
    timer_t processor = make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR2, 7, 0);
    timer_t thread = make(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 2, 78, thread_tid);
    timer_t tick = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 77, 0);
    timer_t blocked = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 4, 79, 0);
    timer_t overrun = make_overrun();
    start(real, 0, (struct timespec){long_wait, 0}, (struct timespec){0, 0});
    start(silent, 0, (struct timespec){long_wait, 0}, (struct timespec){7, 0});
    start(boot, 0, (struct timespec){long_wait, 0}, (struct timespec){8, 0});
    start(processor, 0, (struct timespec){long_wait, 0}, (struct timespec){9, 0});
    start(thread, 0, (struct timespec){0, 20000000}, (struct timespec){0, 20000000});
    start(tick, 0, (struct timespec){0, 20000000}, (struct timespec){0, 20000000});
    start(blocked, 0, (struct timespec){0, 1000000}, (struct timespec){0, 0});
    sigset_t pending;
    do
    {
        TARGET_CHECK(sigpending(&pending) == 0);
    } while (!sigismember(&pending, SIGRTMIN + 4));
    target_ready();

    int64_t begin = target_now();
    while (target_running(10))
    {
        TARGET_EQUAL(periods, timer_getoverrun(overrun));
    }

    long least = long_wait - 1 - (target_now() - begin) / 1000000000;
    check_left(real, long_wait, least, 0);
    check_left(silent, long_wait, least, 7);
    check_left(boot, long_wait, least, 8);
    check_left(processor, long_wait, least, 9);
    check_left(overrun, period / 2, period / 2 - 1 - (long_wait - least), period);
    check_left(idle, 0, 0, 0);

    uint64_t ticked = ticks, thread_ticked = thread_ticks;
    while (ticks < ticked + 3 || thread_ticks < thread_ticked + 3)
    {
        struct timespec moment = {0, 5000000};
        nanosleep(&moment, NULL);
    }

    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 4);
    TARGET_EQUAL(SIGRTMIN + 4, sigtimedwait(&set, &info, &(struct timespec){0, 0}));
    TARGET_EQUAL(79, info.si_value.sival_int);
    TARGET_EQUAL(-1, sigtimedwait(&set, &info, &(struct timespec){0, 0}));

    /* The next timer gets the next number. */
    timer_t next = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
    TARGET_EQUAL((intptr_t)overrun + 1, (intptr_t)next);
    return target_end();
}
