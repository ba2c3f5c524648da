/*
 * The protocol of every target program.
 *
 *   program STATUS_FILE      is started with its standard input at /dev/null.
 *
 * The program sets its state up, appends "ready" to the status file and then verifies its state again and again.
 * At SIGTERM it makes a last check, appends "ok" and ends with 0. As soon as anything is not as it has to be, it
 * appends "fail: REASON" and ends with 1. It creates no process.
 *
 * A program may keep files of its own beside the status file, in the folder that target_folder() makes.
 */
#ifndef TARGET_H
#define TARGET_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define TARGET_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TARGET_PAGE 4096UL

static volatile sig_atomic_t target_stopped;
static int target_status = -1;
static char target_path[PATH_MAX];

__attribute__((unused)) static void target_say(const char *text)
{
    size_t length = strlen(text);
    if (write(target_status, text, length) != (ssize_t)length)
    {
        _exit(2);
    }
}

/*
 * Opens the master of a terminal. Their numbers are the whole machine's, and come back in a restore: it gets one beyond those that others
 * use, so many numbers ahead.
 */
__attribute__((unused)) static int target_master(int flags, int ahead)
{
    int others[256];
    for (int i = 0; i < ahead; i++)
    {
        others[i] = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    }

    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | flags), unlock = 0;
    for (int i = 0; i < ahead; i++)
    {
        close(others[i]);
    }

    return master >= 0 && ioctl(master, TIOCSPTLCK, &unlock) == 0 ? master : -1;
}

/* Reports why the program is not what it was, and ends it. Any thread may call it; the first one wins. */
__attribute__((noreturn, format(printf, 1, 2), unused)) static void target_fail(const char *format, ...)
{
    static atomic_flag reported = ATOMIC_FLAG_INIT;
    char line[512] = "fail: ";
    va_list arguments;

    if (atomic_flag_test_and_set(&reported))
    {
        for (;;)
        {
            pause();
        }
    }

    va_start(arguments, format);
    vsnprintf(line + 6, sizeof(line) - 7, format, arguments);
    va_end(arguments);
    strcat(line, "\n");
    target_say(line);
    _exit(1);
}

/* Fails with the text of the condition and the present errno. */
#define TARGET_CHECK(condition) \
    do \
    { \
        if (!(condition)) \
        { \
            target_fail("%s:%d: %s (errno %d %s)", __FILE_NAME__, __LINE__, #condition, errno, strerror(errno)); \
        } \
    } while (0)

/* Fails if two integers differ, and says which. */
#define TARGET_EQUAL(expected, actual) \
    do \
    { \
        long long target_expected_ = (long long)(expected), target_actual_ = (long long)(actual); \
        if (target_expected_ != target_actual_) \
        { \
            target_fail("%s:%d: %s is %#llx, expected %#llx", __FILE_NAME__, __LINE__, #actual, target_actual_, \
                        target_expected_); \
        } \
    } while (0)

static void target_on_term(int signal)
{
    (void)signal;
    target_stopped = 1;
}

/* Opens the status file and installs the SIGTERM handler. Call it first. */
__attribute__((unused)) static void target_begin(int count, char **arguments)
{
    if (count != 2)
    {
        fprintf(stderr, "usage: %s STATUS_FILE\n", arguments[0]);
        exit(2);
    }

    if (realpath(arguments[1], target_path) == NULL && errno != ENOENT)
    {
        perror(arguments[1]);
        exit(2);
    }

    target_status = open(arguments[1], O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (target_status < 0 || realpath(arguments[1], target_path) == NULL)
    {
        perror(arguments[1]);
        exit(2);
    }

    /* Who starts it may ignore SIGPIPE, as .NET does; whether a restore leaves it alone can only be seen where it is not ignored. */
    signal(SIGPIPE, SIG_DFL);
    struct sigaction action = {.sa_handler = target_on_term};
    TARGET_CHECK(sigaction(SIGTERM, &action, NULL) == 0);
}

/* Makes "STATUS_FILE.d" and returns its path. */
__attribute__((unused)) static const char *target_folder(void)
{
    static char folder[PATH_MAX + 4];
    snprintf(folder, sizeof(folder), "%s.d", target_path);
    TARGET_CHECK(mkdir(folder, 0755) == 0 || errno == EEXIST);
    return folder;
}

/* The path of a file in target_folder(); good until the next call of the same thread. */
__attribute__((unused)) static const char *target_file(const char *name)
{
    static __thread char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", target_folder(), name);
    return path;
}

__attribute__((unused)) static void target_ready(void)
{
    target_say("ready\n");
}

/* Sleeps about the given time, shorter if a signal comes; false once SIGTERM came. */
__attribute__((unused)) static bool target_running(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (!target_stopped && milliseconds > 0)
    {
        nanosleep(&time, NULL);
    }
    return !target_stopped;
}

__attribute__((unused)) static int target_end(void)
{
    target_say("ok\n");
    /* _exit: threads of the program may still wait for something that never comes. */
    _exit(0);
}

__attribute__((unused)) static pthread_t target_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    sigset_t term, old;

    /* SIGTERM is the main thread's affair. */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, &old);
    int error = pthread_create(&thread, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error != 0)
    {
        errno = error;
        target_fail("cannot start a thread: %s", strerror(error));
    }
    return thread;
}

/* CLOCK_MONOTONIC in nanoseconds. */
__attribute__((unused)) static int64_t target_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* The byte that belongs at an offset of the content with the given seed: neighbours and pages differ. */
__attribute__((unused)) static uint8_t target_byte(uint32_t seed, size_t offset)
{
    uint32_t value = (uint32_t)offset * 2654435761u + seed * 40503u;
    return (uint8_t)(value >> 13 ^ value >> 24 ^ seed);
}

__attribute__((unused)) static void target_fill(void *memory, size_t length, uint32_t seed, size_t offset)
{
    for (size_t i = 0; i < length; i++)
    {
        ((uint8_t *)memory)[i] = target_byte(seed, offset + i);
    }
}

/* Fails unless the memory holds what target_fill put there. */
__attribute__((unused)) static void target_verify(const void *memory, size_t length, uint32_t seed, size_t offset,
                                                  const char *what)
{
    for (size_t i = 0; i < length; i++)
    {
        uint8_t actual = ((const volatile uint8_t *)memory)[i];
        if (actual != target_byte(seed, offset + i))
        {
            target_fail("%s: byte %#zx at %p is %#x, expected %#x", what, offset + i,
                        (const void *)((const uint8_t *)memory + i), actual, target_byte(seed, offset + i));
        }
    }
}

__attribute__((unused)) static void target_verify_zero(const void *memory, size_t length, const char *what)
{
    for (size_t i = 0; i < length; i++)
    {
        if (((const volatile uint8_t *)memory)[i] != 0)
        {
            target_fail("%s: byte %#zx at %p is not zero", what, i, (const void *)((const uint8_t *)memory + i));
        }
    }
}

#endif
