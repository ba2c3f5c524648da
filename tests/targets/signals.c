/*
 * Kernel object: what a process and its threads do about signals. struct sighand_struct (every action with its flags,
 * mask and restorer), the blocked mask of each thread, alternate stacks (also SS_AUTODISARM and none), both queues of
 * struct sigpending with siginfo (values, several real-time signals of one number, order), and the interval timers.
 */
#include "target.h"

#include <sys/time.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

/* SA_RESTORER: without it the kernel delivers nothing (arch/x86/include/uapi/asm/signal.h). */
enum { restores = 0x04000000 };

enum { threads = 3, first_private = 40, first_shared = 50, each = 5, long_wait = 5000 };

/* struct kernel_sigaction: glibc hides the restorer. */
struct action
{
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static struct action actions[65];
static volatile sig_atomic_t handled;
static volatile uintptr_t handled_on;
static uint8_t main_stack[65536] __attribute__((aligned(4096)));
static _Atomic int thread_count;
static _Atomic bool threads_may_look;

static void get(int signal, struct action *action)
{
    TARGET_CHECK(syscall(SYS_rt_sigaction, signal, NULL, action, 8) == 0);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    handled_on = (uintptr_t)__builtin_frame_address(0);
    handled += signal;
}

/* Every number gets something of its own, also the two that glibc hides. */
static void set_actions(void)
{
    static const unsigned long kinds[] = {SA_RESTART, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_NOCLDSTOP, SA_NOCLDWAIT, 0};
    struct action term;
    get(SIGTERM, &term);
    for (int signal = 1; signal <= 64; signal++)
    {
        if (signal == SIGKILL || signal == SIGSTOP || signal == SIGTERM)
        {
            continue;
        }
        struct action action = {(void *)on_signal, restores | SA_SIGINFO | kinds[signal % TARGET_COUNT(kinds)], term.restorer,
                                1ULL << (signal % 60) | 1ULL << 3};
        if (signal % 5 == 0 && signal != SIGTRAP)
        {
            action = (struct action){(void *)(signal % 2 == 0 ? SIG_IGN : SIG_DFL), restores | kinds[signal % TARGET_COUNT(kinds)],
                                     term.restorer, 1ULL << (signal % 31)};
        }
        if (signal == SIGUSR2)
        {
            action = (struct action){(void *)on_signal, restores | SA_SIGINFO | SA_ONSTACK | SA_RESTART, term.restorer, 0};
        }
        TARGET_CHECK(syscall(SYS_rt_sigaction, signal, &action, NULL, 8) == 0);
    }
}

/* After the threads were made: with the first one glibc takes a number for itself. */
static void note_actions(void)
{
    for (int signal = 1; signal <= 64; signal++)
    {
        get(signal, &actions[signal]);
    }
}

static void check_actions(void)
{
    for (int signal = 1; signal <= 64; signal++)
    {
        struct action now;
        get(signal, &now);
        if (memcmp(&now, &actions[signal], sizeof(now)) != 0)
        {
            target_fail("action of signal %d: handler %p flags %#lx restorer %p mask %#llx", signal, now.handler, now.flags,
                        now.restorer, (unsigned long long)now.mask);
        }
    }
}

static void check_stack(void *memory, size_t size, int flags)
{
    stack_t stack;
    TARGET_CHECK(sigaltstack(NULL, &stack) == 0);
    TARGET_EQUAL(flags, stack.ss_flags);
    if ((flags & SS_DISABLE) == 0)
    {
        TARGET_CHECK(stack.ss_sp == memory && stack.ss_size == size);
    }
}

static void queue(pid_t tid, int signal, int value)
{
    siginfo_t info = {.si_signo = signal, .si_code = SI_QUEUE, .si_errno = 0};
    info.si_pid = getpid() + 1000;
    info.si_uid = 4711;
    info.si_value.sival_ptr = (void *)(0x123400000000 + value);
    TARGET_CHECK(tid == 0 ? syscall(SYS_rt_sigqueueinfo, getpid(), signal, &info) == 0
                          : syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, signal, &info) == 0);
}

static void take(int signal, int value)
{
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, signal);
    TARGET_EQUAL(signal, sigtimedwait(&set, &info, &(struct timespec){0, 0}));
    TARGET_EQUAL(SI_QUEUE, info.si_code);
    TARGET_EQUAL(getpid() + 1000, info.si_pid);
    TARGET_EQUAL(4711, info.si_uid);
    TARGET_EQUAL(0x123400000000 + value, (intptr_t)info.si_value.sival_ptr);
}

static void none_left(const sigset_t *set)
{
    siginfo_t info;
    TARGET_EQUAL(-1, sigtimedwait(set, &info, &(struct timespec){0, 0}));
    TARGET_EQUAL(EAGAIN, errno);
}

static void *thread(void *argument)
{
    int index = (int)(intptr_t)argument;
    sigset_t mask, now;
    size_t size = 32768 + 4096 * (size_t)index;
    void *memory = malloc(size);
    stack_t stack = {.ss_sp = memory, .ss_size = size, .ss_flags = index == 1 ? (int)SS_AUTODISARM : 0};
    sigfillset(&mask);
    sigdelset(&mask, SIGUSR1 + index);
    /* glibc keeps two signals for itself: what counts is what the mask is then. */
    TARGET_CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0 && pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    TARGET_CHECK(index == 2 || sigaltstack(&stack, NULL) == 0);
    for (int i = 0; i < each; i++)
    {
        queue(gettid(), first_private + index, 100 * index + i);
    }
    queue(gettid(), SIGTRAP, index);
    thread_count++;
    while (!threads_may_look)
    {
        usleep(10000);
        pthread_sigmask(SIG_SETMASK, NULL, &now);
        TARGET_CHECK(memcmp(&now, &mask, 8) == 0);
        check_stack(memory, size, index == 2 ? SS_DISABLE : stack.ss_flags);
    }
    for (int i = 0; i < each; i++)
    {
        take(first_private + index, 100 * index + i);
    }
    take(SIGTRAP, index);
    sigemptyset(&mask);
    sigaddset(&mask, first_private + index);
    sigaddset(&mask, SIGTRAP);
    none_left(&mask);
    thread_count--;
    return NULL;
}

static void check_timer(int which, long interval)
{
    struct itimerval value;
    TARGET_CHECK(getitimer(which, &value) == 0);
    TARGET_EQUAL(interval, value.it_interval.tv_sec);
    if (value.it_value.tv_sec > long_wait || value.it_value.tv_sec < long_wait - 300)
    {
        target_fail("interval timer %d: %ld s are left", which, (long)value.it_value.tv_sec);
    }
}

static void start_timers(void)
{
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
    {
        struct itimerval value = {{7 + which, 0}, {long_wait, 500000}};
        TARGET_CHECK(setitimer(which, &value, NULL) == 0);
    }
}

static void block_all_but_own(void)
{
    sigset_t mask;
    sigfillset(&mask);
    sigdelset(&mask, SIGTERM);
    sigdelset(&mask, SIGUSR2);
    TARGET_CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
}

/* A signal that is not real-time waits once, however often it is sent. */
static void queue_shared(void)
{
    queue(0, SIGHUP, 1);
    queue(0, SIGHUP, 2);
    queue(0, SIGTRAP, 3);
    for (int i = 0; i < each; i++)
    {
        queue(0, first_shared + 2, i);
        queue(0, first_shared + 1, 10 + i);
    }
}

static void take_shared(void)
{
    sigset_t set;
    siginfo_t info;
    take(SIGHUP, 1);
    take(SIGTRAP, 3);
    sigemptyset(&set);
    sigaddset(&set, first_shared + 1);
    sigaddset(&set, first_shared + 2);
    TARGET_EQUAL(first_shared + 1, sigtimedwait(&set, &info, &(struct timespec){0, 0}));
    for (int i = 1; i < each; i++)
    {
        take(first_shared + 1, 10 + i);
    }
    for (int i = 0; i < each; i++)
    {
        take(first_shared + 2, i);
    }
    sigaddset(&set, SIGHUP);
    none_left(&set);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    set_actions();
    block_all_but_own();
    stack_t stack = {.ss_sp = main_stack, .ss_size = sizeof(main_stack)};
    TARGET_CHECK(sigaltstack(&stack, NULL) == 0);
    for (intptr_t i = 0; i < threads; i++)
    {
        target_thread(thread, (void *)i);
    }
    while (thread_count < threads)
    {
        usleep(1000);
    }
    note_actions();
    queue_shared();
    start_timers();
    target_ready();

    while (target_running(50))
    {
        check_actions();
        check_stack(main_stack, sizeof(main_stack), 0);
    }

    check_actions();
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
    {
        check_timer(which, 7 + which);
    }
    take_shared();
    threads_may_look = true;
    while (thread_count > 0)
    {
        usleep(1000);
    }
    raise(SIGUSR2);
    TARGET_EQUAL(SIGUSR2, handled);
    TARGET_CHECK(handled_on - (uintptr_t)main_stack < sizeof(main_stack));
    return target_end();
}
