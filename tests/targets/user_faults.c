/*
 * Files of userfaultfd that watch over nothing: one that has agreed on features and one that has not. After the restore they are used: memory is registered, and a
 * fault is answered.
 */
#include "target.h"
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static int agreed, fresh, copy;

static void *touch(void *address)
{
    return (void *)(uintptr_t)*(volatile char *)address;
}

/* Registers a page, lets a thread read it, and answers. */
static void serve(int fd, char content)
{
    char *page = mmap(NULL, TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *source = malloc(TARGET_PAGE);
    TARGET_CHECK(page != MAP_FAILED && source != NULL);
    memset(source, content, TARGET_PAGE);
    struct uffdio_register watch = {.range = {(uint64_t)page, TARGET_PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    TARGET_CHECK(ioctl(fd, UFFDIO_REGISTER, &watch) == 0);
    pthread_t thread = target_thread(touch, page);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    TARGET_EQUAL(1, poll(&wait, 1, 10000));
    struct uffd_msg message;
    TARGET_EQUAL(sizeof(message), read(fd, &message, sizeof(message)));
    TARGET_EQUAL(UFFD_EVENT_PAGEFAULT, message.event);
    TARGET_EQUAL(page, message.arg.pagefault.address & ~(TARGET_PAGE - 1));
    TARGET_CHECK(message.arg.pagefault.feat.ptid != 0);
    struct uffdio_copy answer = {.dst = (uint64_t)page, .src = (uint64_t)source, .len = TARGET_PAGE};
    TARGET_CHECK(ioctl(fd, UFFDIO_COPY, &answer) == 0);
    void *seen;
    TARGET_EQUAL(0, pthread_join(thread, &seen));
    TARGET_EQUAL(content, (char)(uintptr_t)seen);
    free(source);
}

static void agree(int fd)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_THREAD_ID};
    TARGET_CHECK(ioctl(fd, UFFDIO_API, &api) == 0);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    agreed = (int)syscall(SYS_userfaultfd, O_NONBLOCK | O_CLOEXEC | UFFD_USER_MODE_ONLY);
    fresh = (int)syscall(SYS_userfaultfd, O_NONBLOCK);
    TARGET_CHECK(agreed >= 0 && fresh >= 0);
    agree(agreed);
    copy = dup(agreed);
    target_ready();
    while (target_running(20))
    {
        char byte;
        TARGET_EQUAL(FD_CLOEXEC, fcntl(agreed, F_GETFD));
        TARGET_EQUAL(0, fcntl(copy, F_GETFD));
        TARGET_CHECK((fcntl(fresh, F_GETFL) & O_NONBLOCK) != 0);
        TARGET_CHECK(read(agreed, &byte, 1) == -1 && errno != EBADF);
        TARGET_CHECK(read(fresh, &byte, 1) == -1 && errno == EINVAL);
    }

    serve(copy, 'a');
    serve(agreed, 'b');
    agree(fresh);
    serve(fresh, 'c');
    return target_end();
}
