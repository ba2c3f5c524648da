/*
 * io_uring without requests on their way: positions in the rings that have gone round, completions that nobody has read, requests that nobody has submitted,
 * registered files and buffers, an eventfd, rings of one thread only, one of them a thread that may make no more of them, a thread of the kernel that polls.
 */
#include "target.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

#define MOST 64

struct ring
{
    int fd;
    unsigned flags, entries;
    unsigned *sq_head, *sq_tail, *sq_mask, *sq_flags, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    uint64_t sent, seen;
};

static struct ring plain, kept, registered, single, polled, lonely;
static atomic_int lonely_ready;
static int data_fd, event_fd;
static char *buffers[2];
static const char *content = "the content of the file that is read by rings";

static void make(struct ring *ring, unsigned entries, unsigned flags)
{
    struct io_uring_params params = {.flags = flags, .sq_thread_idle = 50};
    ring->fd = (int)syscall(SYS_io_uring_setup, entries, &params);
    TARGET_CHECK(ring->fd >= 0);
    ring->flags = flags;
    ring->entries = params.sq_entries;
    size_t size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t other = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *at = mmap(NULL, size > other ? size : other, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
    TARGET_CHECK(at != MAP_FAILED);
    ring->sqes = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                      IORING_OFF_SQES);
    TARGET_CHECK(ring->sqes != MAP_FAILED);
    ring->sq_head = (unsigned *)(at + params.sq_off.head);
    ring->sq_tail = (unsigned *)(at + params.sq_off.tail);
    ring->sq_mask = (unsigned *)(at + params.sq_off.ring_mask);
    ring->sq_flags = (unsigned *)(at + params.sq_off.flags);
    ring->sq_array = (unsigned *)(at + params.sq_off.array);
    ring->cq_head = (unsigned *)(at + params.cq_off.head);
    ring->cq_tail = (unsigned *)(at + params.cq_off.tail);
    ring->cq_mask = (unsigned *)(at + params.cq_off.ring_mask);
    ring->cqes = (struct io_uring_cqe *)(at + params.cq_off.cqes);
}

static struct io_uring_sqe *next(struct ring *ring)
{
    unsigned tail = *ring->sq_tail, index = tail & *ring->sq_mask;
    struct io_uring_sqe *sqe = &ring->sqes[index];
    memset(sqe, 0, sizeof(*sqe));
    ring->sq_array[index] = index;
    sqe->user_data = ++ring->sent;
    return sqe;
}

static void queue(struct ring *ring)
{
    __atomic_store_n(ring->sq_tail, *ring->sq_tail + 1, __ATOMIC_RELEASE);
}

static void enter(struct ring *ring, unsigned submit, unsigned wait)
{
    if ((ring->flags & IORING_SETUP_SQPOLL) != 0)
    {
        unsigned flags = __atomic_load_n(ring->sq_flags, __ATOMIC_ACQUIRE);
        if ((flags & IORING_SQ_NEED_WAKEUP) != 0)
        {
            syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
        }

        while (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - *ring->cq_head < wait)
        {
            syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
            usleep(100);
        }

        return;
    }

    TARGET_EQUAL(submit, syscall(SYS_io_uring_enter, ring->fd, submit, wait, wait > 0 ? IORING_ENTER_GETEVENTS : 0, NULL, 0));
}

static int take(struct ring *ring)
{
    unsigned head = *ring->cq_head;
    TARGET_CHECK(head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE));
    struct io_uring_cqe cqe = ring->cqes[head & *ring->cq_mask];
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    TARGET_EQUAL(++ring->seen, cqe.user_data);
    return cqe.res;
}

static void turn(struct ring *ring, int count)
{
    for (int i = 0; i < count; i++)
    {
        next(ring)->opcode = IORING_OP_NOP;
        queue(ring);
        enter(ring, 1, 1);
        TARGET_EQUAL(0, take(ring));
    }
}

static void read_file(struct ring *ring, bool fixed, int slot)
{
    static char own[MOST];
    char *buffer = fixed ? buffers[1] + 100 : own;
    memset(buffer, 0, MOST);
    struct io_uring_sqe *sqe = next(ring);
    sqe->opcode = fixed ? IORING_OP_READ_FIXED : IORING_OP_READ;
    sqe->fd = fixed ? slot : data_fd;
    sqe->flags = fixed ? IOSQE_FIXED_FILE : 0;
    sqe->addr = (uint64_t)(uintptr_t)buffer;
    sqe->len = (unsigned)strlen(content);
    sqe->buf_index = 1;
    queue(ring);
    enter(ring, 1, 1);
    TARGET_EQUAL(strlen(content), take(ring));
    TARGET_EQUAL(0, strcmp(buffer, content));
}

static void make_rings(void)
{
    make(&plain, 4, 0);
    turn(&plain, 1003);
    make(&kept, 8, IORING_SETUP_CQSIZE * 0);
    turn(&kept, 13);
    for (int i = 0; i < 3; i++)
    {
        next(&kept)->opcode = IORING_OP_NOP;
        queue(&kept);
    }

    enter(&kept, 3, 3);
    next(&kept)->opcode = IORING_OP_NOP;
    queue(&kept);

    make(&registered, 16, 0);
    struct iovec vectors[2];
    for (int i = 0; i < 2; i++)
    {
        buffers[i] = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        vectors[i] = (struct iovec){buffers[i], 8192 - (size_t)i * 100};
    }

    int files[3] = {-1, data_fd, event_fd};
    TARGET_EQUAL(0, syscall(SYS_io_uring_register, registered.fd, IORING_REGISTER_BUFFERS, vectors, 2));
    TARGET_EQUAL(0, syscall(SYS_io_uring_register, registered.fd, IORING_REGISTER_FILES, files, 3));
    TARGET_EQUAL(0, syscall(SYS_io_uring_register, registered.fd, IORING_REGISTER_EVENTFD, &event_fd, 1));
    read_file(&registered, true, 1);
    uint64_t value;
    TARGET_EQUAL(8, read(event_fd, &value, 8));
    make(&single, 8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    turn(&single, 77);
    make(&polled, 8, IORING_SETUP_SQPOLL);
    turn(&polled, 20);
}

static void use_rings(void)
{
    uint64_t value;
    turn(&plain, 7);
    read_file(&plain, false, 0);
    read_file(&registered, true, 1);
    TARGET_EQUAL(8, read(event_fd, &value, 8));
    TARGET_EQUAL(1, value);
    turn(&single, 5);
    read_file(&single, false, 0);
    turn(&polled, 5);
    read_file(&polled, false, 0);
}

static void forbid_rings(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_register, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {TARGET_COUNT(code), code};
    TARGET_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    TARGET_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void *live_alone(void *argument)
{
    make(&lonely, 8, IORING_SETUP_SINGLE_ISSUER);
    turn(&lonely, 11);
    forbid_rings();
    atomic_store(&lonely_ready, 1);
    while (target_running(100))
    {
        turn(&lonely, 3);
    }
    return argument;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    data_fd = open(target_file("data"), O_CREAT | O_RDWR, 0600);
    TARGET_EQUAL(strlen(content), write(data_fd, content, strlen(content)));
    event_fd = eventfd(0, EFD_NONBLOCK);
    make_rings();
    target_thread(live_alone, NULL);
    while (!atomic_load(&lonely_ready))
    {
        usleep(1000);
    }
    use_rings();
    target_ready();
    while (target_running(1000))
    {
        use_rings();
    }

    use_rings();
    for (int i = 0; i < 3; i++)
    {
        TARGET_EQUAL(0, take(&kept));
    }

    enter(&kept, 1, 1);
    TARGET_EQUAL(0, take(&kept));
    turn(&kept, 40);
    return target_end();
}
