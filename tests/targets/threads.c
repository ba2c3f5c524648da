/*
 * Kernel object: a process with hundreds of tasks, which is what a dump asks and a restore makes side by side. Each
 * task has its stack, its thread-local memory and its name; at the end each must still count and know its own.
 */
#include "target.h"

enum { count = 700, stack_bytes = 64 << 10 };

static __thread uint64_t own;
static _Atomic uint64_t rounds[count];

static void *work(void *argument)
{
    uint64_t number = (uintptr_t)argument;
    uint64_t on_stack = own = number * 0x9e3779b97f4a7c15;
    char name[16], now[16];
    snprintf(name, sizeof(name), "task %u", (unsigned)number);
    TARGET_CHECK(pthread_setname_np(pthread_self(), name) == 0);
    for (;;)
    {
        rounds[number]++;
        struct timespec moment = {0, 200000000};
        nanosleep(&moment, NULL);
        TARGET_EQUAL(number * 0x9e3779b97f4a7c15, own);
        TARGET_EQUAL(on_stack, own);
        TARGET_CHECK(pthread_getname_np(pthread_self(), now, sizeof(now)) == 0 && strcmp(name, now) == 0);
    }
    return argument;
}

static void await_progress(void)
{
    uint64_t seen[count];
    for (size_t i = 0; i < count; i++)
    {
        seen[i] = rounds[i];
    }
    for (size_t i = 0; i < count; i++)
    {
        while (rounds[i] == seen[i])
        {
            sched_yield();
        }
    }
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    for (uintptr_t i = 0; i < count; i++)
    {
        pthread_attr_t attributes;
        pthread_t thread;
        TARGET_CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, stack_bytes) == 0);
        TARGET_CHECK(pthread_create(&thread, &attributes, work, (void *)i) == 0);
    }

    await_progress();
    target_ready();
    while (target_running(200))
    {
    }

    await_progress();
    return target_end();
}
