/*
 * One round of a measurement, with as little of its own in the figures as possible.
 *
 *   round cycle CRIU DIRECTORY KIND SIZE   starts a target, dumps it with CRIU into DIRECTORY, restores it, ends it;
 *                                          prints microseconds of dump and restore, and the larger peak of memory in KiB
 *   round time PROGRAM ARGUMENTS...        prints microseconds from start to end of a program
 *   round target KIND SIZE                 is a target until it is killed
 *
 * KIND is idle, memory (SIZE bytes of random content), threads (SIZE of them), tree (SIZE processes), descriptors (SIZE of them) or
 * tables (SIZE descriptors in each of 200 processes).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ready_descriptor = 3, stack_bytes = 64 << 10, fan_out = 8, processes_with_tables = 200 };

extern char **environ;

static long descriptors_of_each;

/* The session of the target, which must not outlive a round that fails. */
static pid_t target;

static void end_target(void)
{
    if (target > 0)
    {
        kill(-target, SIGKILL);
    }
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "round: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *wait_forever(void *argument)
{
    for (;;)
    {
        pause();
    }
    return argument;
}

/* xorshift64: content that no kernel can merge and no disk can compress. */
static void make_memory(size_t size)
{
    uint64_t *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), state = 88172645463325252U;
    if (words == MAP_FAILED)
    {
        fail("mmap");
    }
    for (size_t i = 0; i < size / sizeof(*words); i++)
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words[i] = state;
    }
}

static void make_threads(long count)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    for (long i = 1; i < count; i++)
    {
        if ((errno = pthread_create(&thread, &attributes, wait_forever, NULL)) != 0)
        {
            fail("pthread_create");
        }
    }
}

/* Files of five kinds, none of them shared. */
static void make_descriptors(long count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct itimerspec later = {.it_value = {.tv_sec = 100000}};
    int ends[2], made = 0;
    for (long i = 0; i < count; i++)
    {
        switch (i % 6)
        {
        case 0:
            made = open("/proc/self/exe", O_RDONLY);
            made = made < 0 ? made : (int)lseek(made, i, SEEK_SET);
            break;
        case 1:
            made = open("/dev/null", O_RDWR);
            break;
        case 2:
            made = eventfd((unsigned)i, EFD_NONBLOCK);
            break;
        case 3:
            made = timerfd_create(CLOCK_MONOTONIC, 0);
            timerfd_settime(made, 0, &later, NULL);
            break;
        case 4:
            made = pipe(ends);
            break;
        }
        if (made < 0)
        {
            fail("a descriptor");
        }
    }
}

/* Process number has the children from number * fan_out + 1 on: a tree that is as deep as wide. */
static void make_tree(long number, long count)
{
    for (long child = number * fan_out + 1; child <= number * fan_out + fan_out && child < count; child++)
    {
        pid_t pid = fork();
        if (pid < 0)
        {
            fail("fork");
        }
        if (pid == 0)
        {
            make_tree(child, count);
            make_descriptors(descriptors_of_each);
            close(ready_descriptor);
            wait_forever(NULL);
        }
    }
}

static _Noreturn void be_target(const char *kind, long size)
{
    setsid();
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    close_range(ready_descriptor + 1, ~0U, 0);
    if (strcmp(kind, "memory") == 0)
    {
        make_memory((size_t)size);
    }
    else if (strcmp(kind, "threads") == 0)
    {
        make_threads(size);
    }
    else if (strcmp(kind, "tree") == 0)
    {
        make_tree(0, size);
    }
    else if (strcmp(kind, "descriptors") == 0)
    {
        make_descriptors(size);
    }
    else if (strcmp(kind, "tables") == 0)
    {
        descriptors_of_each = size;
        make_tree(0, processes_with_tables);
        make_descriptors(size);
    }
    close(ready_descriptor);
    wait_forever(NULL);
    abort();
}

static pid_t start_target(char *const *arguments)
{
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) != 0)
    {
        fail("pipe2");
    }
    pid_t pid = fork();
    if (pid == 0)
    {
        /* The target closes it when it is ready; an exec gives it a memory of its own, small and always the same. */
        dup2(ready[1], ready_descriptor == ready[1] ? -1 : ready_descriptor);
        fcntl(ready_descriptor, F_SETFD, 0);
        execv("/proc/self/exe", arguments);
        fail("exec");
    }
    close(ready[1]);
    if (pid < 0 || read(ready[0], &byte, 1) != 0)
    {
        fail("start of the target");
    }
    close(ready[0]);
    return pid;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int64_t run(char *const *arguments, long *peak)
{
    struct rusage usage;
    pid_t pid;
    int status;
    int64_t start = now();
    if ((errno = posix_spawn(&pid, arguments[0], NULL, NULL, arguments, environ)) != 0 || wait4(pid, &status, 0, &usage) != pid)
    {
        fail(arguments[0]);
    }
    int64_t time = now() - start;
    if (status != 0)
    {
        fprintf(stderr, "round: %s %s ended with status 0x%x\n", arguments[0], arguments[1], status);
        exit(1);
    }
    *peak = usage.ru_maxrss > *peak ? usage.ru_maxrss : *peak;
    return time;
}

/* Init may take its time, and as long as it does the numbers of the dead are not free. */
static void reap_all(void)
{
    while (wait(NULL) > 0)
    {
    }
}

static void cycle(char *criu, char *directory, char *kind, char *size)
{
    char pid_text[16];
    long peak = 0;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
    {
        fail("prctl");
    }
    pid_t pid = target = start_target((char *[]){"round", "target", kind, size, NULL});
    atexit(end_target);
    snprintf(pid_text, sizeof(pid_text), "%d", pid);
    int64_t dump = run((char *[]){criu, "dump", "-v0", "-D", directory, "-t", pid_text, NULL}, &peak);
    reap_all();
    int64_t restore = run((char *[]){criu, "restore", "-v0", "-D", directory, "-d", NULL}, &peak);
    kill(-pid, SIGKILL);
    reap_all();
    printf("%ld %ld %ld\n", (long)dump, (long)restore, peak);
}

int main(int count, char **arguments)
{
    long peak = 0;
    if (count == 6 && strcmp(arguments[1], "cycle") == 0)
    {
        cycle(arguments[2], arguments[3], arguments[4], arguments[5]);
    }
    else if (count >= 3 && strcmp(arguments[1], "time") == 0)
    {
        int64_t time = run(arguments + 2, &peak);
        printf("%ld %ld\n", (long)time, peak);
    }
    else if (count == 4 && strcmp(arguments[1], "target") == 0)
    {
        be_target(arguments[2], atol(arguments[3]));
    }
    else
    {
        fprintf(stderr, "usage: see the beginning of round.c\n");
        return 2;
    }
    return 0;
}
