/*
 * Kernel object: a 32-bit program on a 64-bit kernel, built with -m32: its registers, thread-local storage in slots of the GDT, signal frames of
 * 32 bits, list of robust futexes, vDSO of its own, and the 32-bit system calls that place new memory below 4 GiB.
 */
#include "target.h"

#include <sys/mman.h>
#include <ucontext.h>

#ifdef __x86_64__
#error this is to be built as a 32-bit program
#endif

enum { threads = 6, pattern = 0x5a000000 };

static __thread volatile int own_number;
static __thread volatile double own_value;
static _Atomic int handled, restarted;
static int ends[2];

static void on_signal(int signal, siginfo_t *info, void *context)
{
    /* The frame is one of 32 bits, or the saved registers are nonsense. */
    ucontext_t *frame = context;
    TARGET_EQUAL(SIGUSR1, signal);
    TARGET_EQUAL(SI_QUEUE, info->si_code);
    TARGET_EQUAL(getpid(), info->si_pid);
    TARGET_EQUAL(pattern + 1, info->si_value.sival_int);
    TARGET_CHECK(frame->uc_mcontext.gregs[REG_EIP] != 0 && frame->uc_mcontext.gregs[REG_CS] == 0x23);
    handled++;
}

static void *compute(void *argument)
{
    int number = (int)(intptr_t)argument;
    own_number = pattern + number;
    volatile double third = number / 3.0;
    own_value = third;
    for (;;)
    {
        float vector[4] = {number, number + 1, number + 2, number + 3}, result[4];
        __asm__ volatile("movups %1, %%xmm5\n\taddps %%xmm5, %%xmm5\n\tmovups %%xmm5, %0" : "=m"(result) : "m"(vector) : "xmm5");
        for (int i = 0; i < 4; i++)
        {
            TARGET_CHECK(result[i] == 2 * vector[i]);
        }
        TARGET_EQUAL(pattern + number, own_number);
        TARGET_CHECK(own_value == third);
        if (number % 2)
        {
            struct timespec time = {0, 1000000};
            nanosleep(&time, NULL);
        }
    }
    return NULL;
}

static void *wait_in_read(void *argument)
{
    char byte;
    (void)argument;
    TARGET_EQUAL(1, read(ends[0], &byte, 1));
    TARGET_EQUAL('x', byte);
    restarted = 1;
    return NULL;
}

static pthread_mutex_t robust;

static void *die_with_mutex(void *argument)
{
    (void)argument;
    TARGET_EQUAL(0, pthread_mutex_lock(&robust));
    return NULL;
}

/* A thread that ends with a robust mutex leaves it to the next one, by its list. */
static void check_robust(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_join(target_thread(die_with_mutex, NULL), NULL);
    TARGET_EQUAL(EOWNERDEAD, pthread_mutex_lock(&robust));
    pthread_mutex_consistent(&robust);
    pthread_mutex_unlock(&robust);
    pthread_mutex_destroy(&robust);
}

static void check_list(void)
{
    void *head;
    size_t length;
    TARGET_EQUAL(0, syscall(SYS_get_robust_list, 0, &head, &length));
    TARGET_EQUAL(12, length);
    TARGET_CHECK(head != NULL);
}

static void check_memory(void)
{
    char *fresh = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(fresh != MAP_FAILED);
    target_fill(fresh, 1 << 20, 7, 0);
    target_verify(fresh, 1 << 20, 7, 0, "new memory");
    munmap(fresh, 1 << 20);
    char *heap = malloc(300000);
    TARGET_CHECK(heap != NULL);
    target_fill(heap, 300000, 8, 0);
    target_verify(heap, 300000, 8, 0, "heap");
    free(heap);
}

int main(int count, char **arguments)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static char alternate[32768];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};

    target_begin(count, arguments);
    own_number = pattern;
    TARGET_EQUAL(0, sigaltstack(&stack, NULL));
    TARGET_EQUAL(0, sigaction(SIGUSR1, &action, NULL));
    TARGET_EQUAL(0, pipe2(ends, O_CLOEXEC));
    for (int i = 1; i <= threads; i++)
    {
        target_thread(compute, (void *)(intptr_t)i);
    }
    pthread_t reader = target_thread(wait_in_read, NULL);
    void *before = sbrk(0);
    target_ready();
    int64_t last = target_now();
    for (int round = 1; target_running(20); round++)
    {
        int64_t now = target_now();
        TARGET_CHECK(now >= last);
        last = now;
        TARGET_EQUAL(0, sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = pattern + 1}));
        TARGET_EQUAL(round, handled);
        TARGET_EQUAL(pattern, own_number);
        check_list();
        check_memory();
        check_robust();
    }
    TARGET_CHECK(sbrk(0) >= before);
    TARGET_EQUAL(0, restarted);
    TARGET_EQUAL(1, write(ends[1], "x", 1));
    pthread_join(reader, NULL);
    TARGET_EQUAL(1, restarted);
    return target_end();
}
