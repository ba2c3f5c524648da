/*
 * Kernel object: an epoll set that a parent and its children have in common. Each child has closed what the set watches but for one pipe, the parent has all:
 * the set must know all of it again, under the parent's numbers.
 */
#include "target.h"

#include <sys/epoll.h>
#include <sys/prctl.h>

#define CHILDREN 3

static int set, ends[CHILDREN][2];

static void serve(int child)
{
    TARGET_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    for (int i = 0; i < CHILDREN; i++)
    {
        TARGET_EQUAL(0, close(ends[i][0]));
        TARGET_CHECK(i == child || close(ends[i][1]) == 0);
    }

    for (;;)
    {
        TARGET_EQUAL(1, write(ends[child][1], "x", 1));
        usleep(20000);
    }
}

static void start(void)
{
    set = epoll_create1(0);
    TARGET_CHECK(set >= 0);
    for (int i = 0; i < CHILDREN; i++)
    {
        TARGET_EQUAL(0, pipe(ends[i]));
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        TARGET_EQUAL(0, epoll_ctl(set, EPOLL_CTL_ADD, ends[i][0], &event));
    }

    for (int i = 0; i < CHILDREN; i++)
    {
        pid_t child = fork();
        TARGET_CHECK(child >= 0);
        if (child == 0)
        {
            serve(i);
        }
    }
}

/* Waits until each child has been heard. */
static void check(void)
{
    unsigned heard = 0;
    int64_t since = target_now();
    while (heard != (1u << CHILDREN) - 1)
    {
        struct epoll_event event;
        int got = epoll_wait(set, &event, 1, 100);
        TARGET_CHECK(got >= 0 || errno == EINTR);
        if (got == 1)
        {
            char one;
            TARGET_EQUAL(1, read(ends[event.data.u32][0], &one, 1));
            heard |= 1u << event.data.u32;
        }

        TARGET_CHECK(target_now() - since < 20 * 1000000000LL);
    }
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    start();
    check();
    target_ready();
    while (target_running(10))
    {
        check();
    }

    struct epoll_event event = {.events = 0};
    for (int i = 0; i < CHILDREN; i++)
    {
        TARGET_EQUAL(0, epoll_ctl(set, EPOLL_CTL_MOD, ends[i][0], &event));
    }

    return target_end();
}
