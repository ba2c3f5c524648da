/*
 * Kernel object: inodes without a name that several processes have. A parent and its children talk through shared anonymous memory,
 * a memory file and a deleted file, which each of them maps or has open in its own way. Whoever is left with a copy of its own
 * is not heard any more.
 */
#include "target.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CHILDREN 3
#define MEDIA 3
#define PATIENCE 10000 /* milliseconds */

struct talk
{
    atomic_uint question;
    atomic_uint answers[CHILDREN];
};

static int memory_file, deleted;
static struct talk *media[MEDIA];
static pid_t children[CHILDREN];

static struct talk *map(int flags, int fd)
{
    void *at = mmap(NULL, 4 * TARGET_PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    TARGET_CHECK(at != MAP_FAILED);
    return at;
}

static void set_up(void)
{
    memory_file = memfd_create("family", 0);
    deleted = open(target_file("family"), O_RDWR | O_CREAT | O_EXCL, 0600);
    TARGET_CHECK(memory_file >= 0 && deleted >= 0 && unlink(target_file("family")) == 0);
    TARGET_CHECK(ftruncate(memory_file, 4 * TARGET_PAGE) == 0 && ftruncate(deleted, 4 * TARGET_PAGE) == 0);
    media[0] = map(MAP_SHARED | MAP_ANONYMOUS, -1);
    media[1] = map(MAP_SHARED, memory_file);
    media[2] = map(MAP_SHARED, deleted);
}

/* The first child has what it was born with, the second other mappings, the third opens the files again. */
static void change(int child)
{
    char path[40];
    if (child == 0)
    {
        return;
    }

    for (int i = 0; i < MEDIA; i++)
    {
        media[i] = mremap(media[i], 0, 2 * TARGET_PAGE, MREMAP_MAYMOVE);
        TARGET_CHECK(media[i] != MAP_FAILED);
    }

    if (child == 2)
    {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", deleted);
        int again = open(path, O_RDWR);
        TARGET_CHECK(again >= 0 && close(deleted) == 0 && close(memory_file) == 0);
        media[2] = map(MAP_SHARED, again);
    }
}

static void answer(int child)
{
    TARGET_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    change(child);
    for (;;)
    {
        for (int i = 0; i < MEDIA; i++)
        {
            atomic_store(&media[i]->answers[child], atomic_load(&media[i]->question) * 3 + (unsigned)child);
        }

        usleep(1000);
    }
}

static void ask(void)
{
    static unsigned question;
    question++;
    for (int i = 0; i < MEDIA; i++)
    {
        atomic_store(&media[i]->question, question);
    }

    for (int i = 0; i < MEDIA * CHILDREN; i++)
    {
        int64_t start = target_now();
        while (atomic_load(&media[i / CHILDREN]->answers[i % CHILDREN]) != question * 3 + (unsigned)(i % CHILDREN))
        {
            if (target_now() - start > PATIENCE * 1000000LL)
            {
                target_fail("child %d does not answer through medium %d", i % CHILDREN, i / CHILDREN);
            }

            usleep(500);
        }
    }
}

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    set_up();
    for (int i = 0; i < CHILDREN; i++)
    {
        children[i] = fork();
        TARGET_CHECK(children[i] >= 0);
        if (children[i] == 0)
        {
            answer(i);
        }
    }

    ask();
    target_ready();
    while (target_running(20))
    {
        ask();
    }

    ask();
    for (int i = 0; i < CHILDREN; i++)
    {
        int status;
        TARGET_CHECK(kill(children[i], SIGKILL) == 0);
        TARGET_EQUAL(children[i], waitpid(children[i], &status, 0));
        TARGET_EQUAL(SIGKILL, WTERMSIG(status));
    }

    return target_end();
}
