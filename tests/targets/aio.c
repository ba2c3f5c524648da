/*
 * Contexts of io_setup: rings that have gone round, completions that nobody has read, one made after another was ended, so that its number in the kernel is not
 * its place in the order, and one as large as many pages.
 */
#include "target.h"
#include <linux/aio_abi.h>

#define SMALL 40
#define LARGE 2000

struct ring
{
    unsigned id, nr, head, tail, magic, compat, incompat, header;
    struct io_event events[];
};

struct context
{
    aio_context_t id;
    unsigned nr, head, tail;
    uint64_t sent, seen;
};

static struct context unused, round, full, large;
static int data_fd;
static char text[] = "the content of the file that is read by requests";

static const volatile struct ring *ring_of(const struct context *context)
{
    return (const volatile struct ring *)context->id;
}

static void make(struct context *context, unsigned entries)
{
    TARGET_EQUAL(0, syscall(SYS_io_setup, entries, &context->id));
    context->nr = ring_of(context)->nr;
}

static void send(struct context *context, char *buffer)
{
    struct iocb request = {.aio_data = ++context->sent, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (unsigned)data_fd,
                           .aio_buf = (uint64_t)buffer, .aio_nbytes = sizeof(text), .aio_offset = 0};
    struct iocb *list = &request;
    TARGET_EQUAL(1, syscall(SYS_io_submit, context->id, 1, &list));
}

static void take(struct context *context)
{
    struct io_event event;
    struct timespec now = {0, 0};
    TARGET_EQUAL(1, syscall(SYS_io_getevents, context->id, 1, 1, &event, &now));
    TARGET_EQUAL(++context->seen, event.data);
    TARGET_EQUAL(sizeof(text), event.res);
}

static void remember(struct context *context)
{
    context->head = ring_of(context)->head;
    context->tail = ring_of(context)->tail;
}

static void same(const struct context *context)
{
    TARGET_EQUAL(context->nr, ring_of(context)->nr);
    TARGET_EQUAL(context->head, ring_of(context)->head);
    TARGET_EQUAL(context->tail, ring_of(context)->tail);
    for (uint64_t i = context->seen; i < context->sent; i++)
    {
        unsigned at = (context->head + (unsigned)(i - context->seen)) % context->nr;
        TARGET_EQUAL(i + 1, ring_of(context)->events[at].data);
        TARGET_EQUAL(sizeof(text), ring_of(context)->events[at].res);
    }
}

/* Requests come and go; those that wait to be read stay as many as they are. */
static void turn(struct context *context)
{
    char buffer[sizeof(text)] = "";
    same(context);
    send(context, buffer);
    TARGET_CHECK(memcmp(buffer, text, sizeof(text)) == 0);
    take(context);
    remember(context);
}

int main(int count, char **arguments)
{
    char buffer[sizeof(text)];
    struct context first = {0};

    target_begin(count, arguments);
    data_fd = open(target_file("data"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    TARGET_CHECK(data_fd >= 0 && pwrite(data_fd, text, sizeof(text), 0) == sizeof(text));
    make(&first, 4);
    make(&unused, SMALL);
    TARGET_EQUAL(0, syscall(SYS_io_destroy, first.id));
    make(&large, LARGE);
    make(&round, SMALL);
    make(&full, SMALL);
    for (unsigned i = 0; i < round.nr + 5; i++)
    {
        send(&round, buffer);
        if (i >= 7)
        {
            take(&round);
        }
    }

    for (unsigned i = 0; i < SMALL; i++)
    {
        send(&full, buffer);
    }

    for (unsigned i = 0; i < LARGE; i++)
    {
        send(&large, buffer);
    }

    for (unsigned i = 0; i < LARGE / 2; i++)
    {
        take(&large);
    }

    remember(&round);
    remember(&full);
    remember(&large);
    target_ready();
    while (target_running(20))
    {
        turn(&round);
        turn(&full);
        turn(&large);
        same(&unused);
    }

    while (full.seen < full.sent)
    {
        take(&full);
    }

    return target_end();
}
