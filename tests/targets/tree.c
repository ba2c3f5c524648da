/*
 * A family made at random from the number in the environment variable SEED: depth, sessions, process groups, orphans that
 * a subreaper got, zombies, stopped processes, threads, queued signals, credentials, copied and shared pages.
 *
 * Every process knows what it must find: its memory page by page, how its zombies ended, that it hears of stops which it has
 * not heard of, and of no others, the value of its queued signal, that its threads live. Who is whose child, in which session and group, and who is
 * stopped, is compared from outside.
 */
#include "target.h"
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define USUAL_PROCESSES 24
#define PAGES 24
#define MOST_CHILDREN 16

struct child
{
    pid_t pid;
    int zombie_status; /* -1 for one that lives */
    bool stopped;
    bool told; /* of its stop */
};

/* Filled by the root before anything is born: all processes see these pages shared until they write to them. */
static unsigned char *pages;
static uint32_t owners[PAGES];
static uint32_t identity = 1;
static uint64_t random_state;
static int budget;
static int ready_write, ready_read, go_read, go_write, verdict;
static struct child children[MOST_CHILDREN];
static int child_count;
static int queued_value;
static atomic_uint thread_turns[2];
static int thread_count;

static uint32_t next(uint32_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(random_state >> 33) % below;
}

static void report(char what)
{
    TARGET_EQUAL(1, write(ready_write, &what, 1));
}

static unsigned char content(uint32_t owner, int page, size_t offset)
{
    return (unsigned char)(owner * 31 + (uint32_t)page * 7 + (uint32_t)(offset / 64));
}

static void fill(int page)
{
    unsigned char *at = pages + (size_t)page * TARGET_PAGE;
    for (size_t i = 0; i < TARGET_PAGE; i++)
    {
        at[i] = content(identity, page, i);
    }

    owners[page] = identity;
}

static void change_memory(void)
{
    for (int i = (int)next(5); i > 0; i--)
    {
        fill((int)next(PAGES));
    }

    if (next(4) == 0)
    {
        /* A page given back is a page of zeros. */
        int page = (int)next(PAGES);
        TARGET_EQUAL(0, madvise(pages + (size_t)page * TARGET_PAGE, TARGET_PAGE, MADV_DONTNEED));
        owners[page] = 0;
    }
}

static void *run_thread(void *turns)
{
    for (;;)
    {
        atomic_fetch_add((atomic_uint *)turns, 1);
        usleep(1000);
    }

    return NULL;
}

static void start_threads(void)
{
    thread_count = (int)next(6) < 4 ? 0 : 1 + (int)next(2);
    for (int i = 0; i < thread_count; i++)
    {
        pthread_t thread;
        TARGET_EQUAL(0, pthread_create(&thread, NULL, run_thread, &thread_turns[i]));
    }
}

static void queue_signal(void)
{
    if (next(3) != 0)
    {
        return;
    }

    queued_value = 1 + (int)next(1000);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    TARGET_EQUAL(0, sigprocmask(SIG_BLOCK, &set, NULL));
    TARGET_EQUAL(0, sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = queued_value}));
}

static void change_credentials(void)
{
    /* Another user could not let stopped children go on. */
    bool stopped = false;
    for (int i = 0; i < child_count; i++)
    {
        stopped |= children[i].stopped;
    }

    if (geteuid() == 0 && !stopped && next(4) == 0)
    {
        TARGET_EQUAL(0, setresgid(20000 + next(5), 20000 + next(5), 20000 + next(5)));
        TARGET_EQUAL(0, setresuid(20000 + next(5), 20000 + next(5), 20000 + next(5)));
    }
}

static void check_memory(void)
{
    for (int page = 0; page < PAGES; page++)
    {
        for (size_t i = 0; i < TARGET_PAGE; i++)
        {
            unsigned char wanted = owners[page] == 0 ? 0 : content(owners[page], page, i);
            TARGET_EQUAL(wanted, pages[(size_t)page * TARGET_PAGE + i]);
        }
    }
}

static void check_children(void)
{
    for (int i = 0; i < child_count; i++)
    {
        siginfo_t info = {0};
        if (children[i].zombie_status >= 0)
        {
            TARGET_EQUAL(0, waitid(P_PID, (id_t)children[i].pid, &info, WEXITED | WNOHANG | WNOWAIT));
            TARGET_EQUAL(children[i].pid, info.si_pid);
            int status;
            TARGET_EQUAL(children[i].pid, waitpid(children[i].pid, &status, 0));
            TARGET_EQUAL(children[i].zombie_status, status);
        }
        else if (children[i].stopped)
        {
            TARGET_EQUAL(0, waitid(P_PID, (id_t)children[i].pid, &info, WSTOPPED | WNOHANG));
            TARGET_EQUAL(children[i].told ? 0 : children[i].pid, info.si_pid);
            TARGET_EQUAL(0, kill(children[i].pid, SIGCONT));
        }
    }
}

static void check_signal(void)
{
    if (queued_value == 0)
    {
        return;
    }

    sigset_t set;
    siginfo_t info;
    struct timespec now = {0};
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    TARGET_EQUAL(SIGRTMIN + 3, sigtimedwait(&set, &info, &now));
    TARGET_EQUAL(queued_value, info.si_value.sival_int);
    TARGET_EQUAL(getpid(), info.si_pid);
}

static void check_threads(void)
{
    for (int i = 0; i < thread_count; i++)
    {
        unsigned before = atomic_load(&thread_turns[i]);
        for (int tries = 0; atomic_load(&thread_turns[i]) == before; tries++)
        {
            TARGET_CHECK(tries < 5000);
            usleep(1000);
        }
    }
}

/* Waits for the word of the root, then checks itself and says so; the first verdict that is none ends the test. */
static void live(void)
{
    struct pollfd wait = {.fd = go_read, .events = POLLIN};
    while (poll(&wait, 1, -1) < 0)
    {
        TARGET_EQUAL(EINTR, errno);
    }

    check_memory();
    check_children();
    check_signal();
    check_threads();
    TARGET_EQUAL(1, write(verdict, ".", 1));
}

static void be_born(void)
{
    child_count = thread_count = queued_value = 0;
    identity = (uint32_t)getpid();
    close(go_write);
    char name[16];
    snprintf(name, sizeof(name), "tree %d", (int)(identity % 1000));
    TARGET_EQUAL(0, prctl(PR_SET_NAME, name));
    change_memory();
}

/* Half of what may still be born is the child's to bear. */
static pid_t bear(void)
{
    report('+');
    int share = budget / 2;
    budget -= share + 1;
    uint64_t childs = random_state ^ (next(1000000) * 0x9E3779B97F4A7C15ULL);
    pid_t pid = fork();
    TARGET_CHECK(pid >= 0);
    if (pid == 0)
    {
        random_state = childs;
        budget = share;
        be_born();
    }

    return pid;
}

static void make_zombie(void)
{
    int how = (int)next(4), code = (int)next(256);
    pid_t pid = bear();
    if (pid == 0)
    {
        if (next(3) == 0)
        {
            setsid();
        }

        report('.');
        if (how == 0)
        {
            kill(getpid(), SIGKILL);
        }
        else if (how == 1)
        {
            kill(getpid(), SIGALRM);
        }

        _exit(code);
    }

    siginfo_t info;
    TARGET_EQUAL(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    children[child_count++] = (struct child){pid, how == 0 ? SIGKILL : how == 1 ? SIGALRM : code << 8, false, false};
}

static void make_stopped(void)
{
    pid_t pid = bear();
    if (pid == 0)
    {
        /* The kernel lets only a group with a parent in its session be stopped by SIGTSTP. */
        bool group = next(2) == 0 && setpgid(0, 0) == 0;
        start_threads();
        report('.');
        kill(getpid(), group && next(2) == 0 ? SIGTSTP : SIGSTOP);
        live();
        _exit(0);
    }

    siginfo_t info;
    bool told = next(2) == 0;
    TARGET_EQUAL(0, waitid(P_PID, (id_t)pid, &info, told ? WSTOPPED : WSTOPPED | WNOWAIT));
    children[child_count++] = (struct child){pid, -1, true, told};
}

static void grow(int depth);

/* The child between ends: what it bore goes to the nearest subreaper, in whatever session and group it was born. */
static void make_orphan(int depth)
{
    bool session = next(2) == 0, group = next(2) == 0;
    pid_t pid = bear();
    if (pid == 0)
    {
        if (session)
        {
            setsid();
        }
        else if (group)
        {
            setpgid(0, 0);
        }

        for (int i = 1 + (int)next(2); i > 0; i--)
        {
            if (bear() == 0)
            {
                grow(depth + 1);
            }
        }

        report('.');
        _exit(0);
    }

    TARGET_EQUAL(pid, waitpid(pid, NULL, 0));
}

static void make_child(int depth)
{
    pid_t pid = bear();
    if (pid == 0)
    {
        switch (next(5))
        {
        case 0:
            setsid();
            break;
        case 1:
            setpgid(0, 0);
            break;
        }

        grow(depth + 1);
    }

    children[child_count++] = (struct child){pid, -1, false, false};
}

/* Never returns in any process but the root. */
static void grow(int depth)
{
    if (next(4) == 0)
    {
        TARGET_EQUAL(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
    }

    for (int i = (int)next(5); i > 0 && depth < 5 && budget > 0 && child_count < MOST_CHILDREN - 1; i--)
    {
        switch (next(7))
        {
        case 0:
            make_zombie();
            break;
        case 1:
            make_stopped();
            break;
        case 2:
        case 3:
            make_orphan(depth);
            break;
        default:
            make_child(depth);
            break;
        }

        if (depth > 0 && next(6) == 0)
        {
            /* Children that were born before stay in the old session. */
            setsid();
        }

        change_memory();
    }

    queue_signal();
    start_threads();
    if (depth > 0)
    {
        change_credentials();
        report('.');
        live();
        for (;;)
        {
            pause();
        }
    }
}

static void await_family(void)
{
    for (int missing = 1; missing > 0;)
    {
        char what;
        TARGET_EQUAL(1, read(ready_read, &what, 1));
        missing += what == '+' ? 1 : -1;
    }
}

static int verdicts(void)
{
    struct stat status;
    TARGET_EQUAL(0, fstat(verdict, &status));
    return (int)status.st_size;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);

    /* Comes with SIGCONT to stopped processes whose group becomes an orphan. */
    signal(SIGHUP, SIG_IGN);
    const char *seed = getenv("SEED");
    random_state = 88172645463325252ULL + strtoull(seed == NULL ? "1" : seed, NULL, 10) * 1000003;
    next(1);
    budget = USUAL_PROCESSES;

    int ready[2], go[2];
    TARGET_EQUAL(0, pipe(ready));
    TARGET_EQUAL(0, pipe(go));
    ready_read = ready[0];
    ready_write = ready[1];
    go_read = go[0];
    go_write = go[1];
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s.verdicts", target_path);
    verdict = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    TARGET_CHECK(verdict >= 0);

    pages = mmap(NULL, PAGES * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(pages != MAP_FAILED);
    for (int page = 0; page < PAGES; page++)
    {
        fill(page);
    }

    TARGET_EQUAL(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
    grow(0);
    report('.');
    await_family();

    /* The last of them are on their way to sleep. */
    usleep(100000);
    target_ready();
    while (!target_stopped)
    {
        pause();
    }

    close(go_write);
    check_memory();
    check_children();
    check_signal();
    check_threads();
    TARGET_EQUAL(1, write(verdict, ".", 1));
    for (int quiet = 0, last = 0; quiet < 15; quiet++)
    {
        usleep(20000);
        int now = verdicts();
        quiet = now == last ? quiet : 0;
        last = now;
    }

    /* How many ought to have answered is what the test knows. */
    snprintf(path, sizeof(path), "verdicts %d\n", verdicts());
    target_say(path);
    target_say("ok\n");
    for (;;)
    {
        pause();
    }
}
