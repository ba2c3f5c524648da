// A process that is as hard to read in /proc as a process can be. It prints what it has made, one "KEY VALUE" a line, then
// "ready", and stays until its standard input ends. Argument: an empty directory to work in.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define CHECK(call) check((long)(call), #call)

static long check(long result, const char *call)
{
    if (result == -1)
    {
        perror(call);
        exit(1);
    }
    return result;
}

static sem_t told;

static void *thread(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "x\ny) Z 1 (");
    printf("tid %ld\n", (long)syscall(SYS_gettid));
    sem_post(&told);
    for (;;)
        pause();
    return NULL;
}

static void map_file(const char *key, const char *name, int remove)
{
    int fd = CHECK(open(name, O_RDWR | O_CREAT | O_APPEND, 0600));
    CHECK(ftruncate(fd, 8 * PAGE));
    volatile char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    if (shared == MAP_FAILED)
        exit(1);
    shared[0] = 1;
    if (remove)
        CHECK(unlink(name));
    printf("map-%s %lx\nfd-%s %d\n", key, (unsigned long)shared, key, fd);
}

static void map_pages(const char *key, int fd)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE;
    volatile char *pages = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (pages == MAP_FAILED)
        exit(1);
    madvise((void *)pages, 8 * PAGE, MADV_NOHUGEPAGE);
    pages[0] = 1;                       // 0 written, 1 never touched, 2 only read, 3 and 4 written, 5 guarded, 6 and 7 never touched
    (void)pages[2 * PAGE];
    pages[3 * PAGE] = 3;
    pages[4 * PAGE] = 4;
    int guard = madvise((void *)(pages + 5 * PAGE), PAGE, 102 /* MADV_GUARD_INSTALL, Linux 6.13 */);
    printf("pages-%s %lx\nguard-%s %d\n", key, (unsigned long)pages, key, guard);
}

// Whether the kernel lets its one page of zeros stand in for pages that were only read: then two of them are the same page frame. A
// kernel may be told not to, and gives each a page of its own.
static void zero_page(void)
{
    volatile char *pages = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        exit(1);
    madvise((void *)pages, 2 * PAGE, MADV_NOHUGEPAGE);
    (void)pages[0];
    (void)pages[PAGE];
    uint64_t entries[2];
    int pagemap = CHECK(open("/proc/self/pagemap", O_RDONLY));
    if (pread(pagemap, entries, sizeof entries, (off_t)((uintptr_t)pages / PAGE * sizeof entries[0])) != sizeof entries)
        exit(1);
    close(pagemap);
    printf("zero-page %d\n", entries[0] == entries[1]);
}

static void descriptors(void)
{
    printf("fd-eventfd %ld\n", CHECK(eventfd(0x1234abcd, EFD_CLOEXEC | EFD_NONBLOCK)));

    int pipe_ends[2];
    CHECK(pipe(pipe_ends));
    int epoll = CHECK(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0xfedcba9876543210};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_ends[0], &event));
    printf("fd-pipe %d\nfd-epoll %d\n", pipe_ends[0], epoll);

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, 64);
    printf("fd-signalfd %ld\n", CHECK(signalfd(-1, &signals, 0)));

    int timer = CHECK(timerfd_create(CLOCK_BOOTTIME, 0));
    struct itimerspec when = {.it_value = {5000, 1}, .it_interval = {7, 8}};
    CHECK(timerfd_settime(timer, 0, &when, NULL));
    printf("fd-timerfd %d\n", timer);

    int inotify = CHECK(inotify_init1(0));
    CHECK(inotify_add_watch(inotify, ".", IN_CREATE | IN_MODIFY));
    printf("fd-inotify %d\n", inotify);
    printf("fd-pidfd %ld\n", CHECK(syscall(SYS_pidfd_open, getpid(), 0)));
    printf("fd-path %ld\n", CHECK(open(".", O_PATH | O_CLOEXEC)));

    int locked = CHECK(open("locked", O_RDWR | O_CREAT, 0600));
    CHECK(flock(locked, LOCK_EX));
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};
    CHECK(fcntl(locked, F_SETLK, &range));
    CHECK(lseek(locked, 77, SEEK_SET));
    printf("fd-locked %d\n", locked);
}

static void timers(void)
{
    timer_t id;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_ptr = (void *)0xabcd1234};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &id));
    event.sigev_notify = SIGEV_NONE;
    CHECK(timer_create(CLOCK_REALTIME, &event, &id));
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    CHECK(chdir(argv[1]));
    umask(0027);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, exit);
    map_file("newline", "a\nb\\c", 0);
    map_file("literal", "literal\\012 name", 0);
    map_file("removed", "gone\n", 1);
    map_file("suffix", "stays (deleted)", 0);
    zero_page();
    map_pages("anonymous", -1);
    map_pages("private", CHECK(open("stays (deleted)", O_RDONLY)));
    descriptors();
    timers();
    CHECK(prctl(PR_SET_NAME, "a) R 1 ("));
    CHECK(prctl(PR_SET_TIMERSLACK, 123456));
    fflush(stdout);
    pthread_t other;
    if (sem_init(&told, 0, 0) != 0 || pthread_create(&other, NULL, thread, NULL) != 0)
        return 1;
    // What the second task tells comes before "ready".
    while (sem_wait(&told) != 0)
        ;
    puts("ready");
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}
