/*
 * Kernel object: the ends of an address space that move. The stack of the main thread (MAP_GROWSDOWN, down to its limit), the
 * heap (brk), a stack of the program's own that grows, and new mappings: all must move on after a checkpoint from where they were.
 */
#include "target.h"

#include <alloca.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { step = 64 * 1024, steps = 40 };

static uint8_t *heap_start, *heap_end;

static void grow_heap(size_t by)
{
    uint8_t *old = sbrk((intptr_t)by);
    TARGET_CHECK(old == heap_end);
    target_fill(old, by, 3, (size_t)(old - heap_start));
    heap_end += by;
}

static void check_heap(void)
{
    TARGET_CHECK(sbrk(0) == heap_end);
    target_verify(heap_start, (size_t)(heap_end - heap_start), 3, 0, "heap");
}

/* Uses the stack down to a depth, frame by frame. */
__attribute__((noinline)) static int grow_stack(int depth)
{
    volatile uint8_t frame[step];
    frame[0] = (uint8_t)depth;
    frame[step - 1] = (uint8_t)(depth + 1);
    int sum = depth > 0 ? grow_stack(depth - 1) : 0;
    TARGET_EQUAL((uint8_t)depth, frame[0]);
    TARGET_EQUAL((uint8_t)(depth + 1), frame[step - 1]);
    return sum + 1;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    struct rlimit limit;
    TARGET_CHECK(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= 2 * steps * step);

    heap_start = heap_end = sbrk(0);
    grow_heap(123456);
    TARGET_EQUAL(11, grow_stack(10));

    /* Room below it, so that it can grow; the mapping itself is its top page. */
    uint8_t *room = mmap(NULL, 1024 * TARGET_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TARGET_CHECK(room != MAP_FAILED && munmap(room, 1023 * TARGET_PAGE) == 0);
    uint8_t *top = mmap(room + 1023 * TARGET_PAGE, TARGET_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    TARGET_CHECK(top == room + 1023 * TARGET_PAGE);
    target_fill(top - 3 * TARGET_PAGE, 4 * TARGET_PAGE, 4, 0);
    target_ready();
    while (target_running(50))
    {
        check_heap();
    }

    check_heap();
    target_verify(top - 3 * TARGET_PAGE, 4 * TARGET_PAGE, 4, 0, "own stack");
    grow_heap(5 << 20);
    check_heap();
    TARGET_EQUAL(steps + 1, grow_stack(steps));
    target_fill(top - 100 * TARGET_PAGE, 97 * TARGET_PAGE, 5, 0);
    target_verify(top - 100 * TARGET_PAGE, 97 * TARGET_PAGE, 5, 0, "own stack, grown");
    target_verify(top - 3 * TARGET_PAGE, 4 * TARGET_PAGE, 4, 0, "own stack");
    TARGET_CHECK(brk(heap_start + TARGET_PAGE) == 0);
    heap_end = heap_start + TARGET_PAGE;
    check_heap();
    uint8_t *more = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(more != MAP_FAILED);
    more[0] = more[(64 << 20) - 1] = 1;
    TARGET_CHECK(munmap(more, 64 << 20) == 0);
    return target_end();
}
