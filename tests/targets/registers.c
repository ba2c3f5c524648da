/*
 * Kernel object: the registers of a thread (user_regs_struct and the xsave area of thread_struct).
 * Every thread loads one group of registers with values of its own, spins without a call or sleeps in a system call
 * without one, and compares: general registers and flags, the x87 stack with its control words, MXCSR and XMM, YMM,
 * ZMM with opmasks, PKRU, the GS base.
 */
#include "target.h"

#include <asm/prctl.h>
#include <cpuid.h>

/* Whether the operating system lets programs use all the state components of the mask (XCR0). */
static bool state_enabled(uint64_t mask)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
    {
        return false;
    }
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (((uint64_t)edx << 32 | eax) & mask) == mask;
}

static bool leaf7_has(unsigned ebx_mask, unsigned ecx_mask)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & ebx_mask) == ebx_mask && (ecx & ecx_mask) == ecx_mask;
}

/* Values for rax, rbx, rdx, rsi, rdi, rbp, r8..r15, then the flags. */
__attribute__((used)) static const uint64_t general_values[15] = {
    0xa1b2c3d4e5f60718, 0xb2c3d4e5f60718a1, 0xc3d4e5f60718a1b2, 0xd4e5f60718a1b2c3, 0xe5f60718a1b2c3d4,
    0xf60718a1b2c3d4e5, 0x0718a1b2c3d4e5f6, 0x18a1b2c3d4e5f607, 0x1111222233334444, 0x5555666677778888,
    0x9999aaaabbbbcccc, 0xddddeeeeffff0000, 0x0123456789abcdef, 0xfedcba9876543210,
    0xc95, /* OF, DF, SF, AF, PF, CF; ID is no program's state: neither ptrace nor sigreturn can set it */
};

#define LOAD(register, index) "mov general_values+8*" #index "(%rip), %" #register "\n\t"
#define COMPARE(register, index) \
    "cmp general_values+8*" #index "(%rip), %" #register "\n\t" \
    "mov $" #index "+1, %eax\n\t" \
    "jne 9f\n\t"

/* Holds all general registers and the flags for so many rounds; 0, or 1 + the index of the value that changed. */
__attribute__((naked)) static long hold_general(uint64_t rounds __attribute__((unused)))
{
    __asm__(
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
        "mov %rdi, %rcx\n\t"
        LOAD(rax, 0) LOAD(rbx, 1) LOAD(rdx, 2) LOAD(rsi, 3) LOAD(rdi, 4) LOAD(rbp, 5) LOAD(r8, 6) LOAD(r9, 7)
        LOAD(r10, 8) LOAD(r11, 9) LOAD(r12, 10) LOAD(r13, 11) LOAD(r14, 12) LOAD(r15, 13)
        "pushq general_values+8*14(%rip)\n\t"
        "popfq\n"
        "1:\tlea -1(%rcx), %rcx\n\t" /* lea and jrcxz leave the flags alone */
        "jrcxz 2f\n\t"
        "jmp 1b\n"
        "2:\tpushfq\n\t"
        COMPARE(rax, 0) COMPARE(rbx, 1) COMPARE(rdx, 2) COMPARE(rsi, 3) COMPARE(rdi, 4) COMPARE(rbp, 5)
        COMPARE(r8, 6) COMPARE(r9, 7) COMPARE(r10, 8) COMPARE(r11, 9) COMPARE(r12, 10) COMPARE(r13, 11)
        COMPARE(r14, 12) COMPARE(r15, 13)
        "mov (%rsp), %rdx\n\t"
        "and $0xcd5, %edx\n\t"
        COMPARE(rdx, 14)
        "xor %eax, %eax\n"
        "9:\tadd $8, %rsp\n\t"
        "cld\n\t"
        "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\t"
        "ret");
}

__attribute__((used)) static const struct timespec nap = {0, 20000000};

/* Spins r8 rounds; for 0 rounds it sleeps in nanosleep instead. Only rax, r8 and r11 change. */
#define HOLD \
    "test %r8, %r8\n\t" \
    "jz 2f\n" \
    "1:\tdec %r8\n\t" \
    "jnz 1b\n\t" \
    "jmp 3f\n" \
    "2:\tpush %rcx\n\tpush %rdi\n\tpush %rsi\n\t" \
    "mov $35, %eax\n\t" \
    "lea nap(%rip), %rdi\n\t" \
    "xor %esi, %esi\n\t" \
    "syscall\n\t" \
    "pop %rsi\n\tpop %rdi\n\tpop %rcx\n" \
    "3:\n\t"

#define EACH8(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7)
#define EACH16(x) EACH8(x) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)
#define EACH32(x) EACH16(x) x(16) x(17) x(18) x(19) x(20) x(21) x(22) x(23) x(24) x(25) x(26) x(27) x(28) x(29) x(30) x(31)

/* One state of a register group: what is loaded and what was found. */
struct state
{
    uint8_t vectors[32 * 64];
    uint64_t control[8];
};

/* rdi = state to load, rsi = its controls, rdx = where the state is stored, rcx = where its controls are, r8 = rounds */
#define HOLDER(name) \
    __attribute__((naked)) static void name(const void *load __attribute__((unused)), \
                                            const uint64_t *control __attribute__((unused)), \
                                            void *store __attribute__((unused)), \
                                            uint64_t *control_store __attribute__((unused)), \
                                            uint64_t rounds __attribute__((unused)))

/* Five values on the x87 stack, rounding and precision from the control word, an inexact result in the status word. */
HOLDER(hold_x87)
{
    __asm__(
        "fninit\n\t"
        "fldcw (%rsi)\n\t"
        "fldl (%rdi)\n\tfldl 8(%rdi)\n\tfldl 16(%rdi)\n\tfldl 24(%rdi)\n\tfld1\n\tfldpi\n\tfdivrp\n\t"
        HOLD
        "fnsave (%rdx)\n\t" /* stores all of it and initialises the unit */
        "ret");
}

#define LOAD_XMM(n) "movdqu 64*" #n "(%rdi), %xmm" #n "\n\t"
#define STORE_XMM(n) "movdqu %xmm" #n ", 64*" #n "(%rdx)\n\t"

HOLDER(hold_xmm)
{
    __asm__(
        "sub $8, %rsp\n\t"
        "stmxcsr (%rsp)\n\t"
        "ldmxcsr (%rsi)\n\t"
        EACH16(LOAD_XMM)
        HOLD
        EACH16(STORE_XMM)
        "stmxcsr (%rcx)\n\t"
        "ldmxcsr (%rsp)\n\t"
        "add $8, %rsp\n\t"
        "ret");
}

#define LOAD_YMM(n) "vmovdqu 64*" #n "(%rdi), %ymm" #n "\n\t"
#define STORE_YMM(n) "vmovdqu %ymm" #n ", 64*" #n "(%rdx)\n\t"

HOLDER(hold_ymm)
{
    __asm__(EACH16(LOAD_YMM) HOLD EACH16(STORE_YMM) "vzeroupper\n\tret");
}

#define LOAD_ZMM(n) "vmovdqu64 64*" #n "(%rdi), %zmm" #n "\n\t"
#define STORE_ZMM(n) "vmovdqu64 %zmm" #n ", 64*" #n "(%rdx)\n\t"
#define LOAD_MASK(n) "kmovq 8*" #n "(%rsi), %k" #n "\n\t"
#define STORE_MASK(n) "kmovq %k" #n ", 8*" #n "(%rcx)\n\t"

HOLDER(hold_zmm)
{
    __asm__(EACH32(LOAD_ZMM) EACH8(LOAD_MASK) HOLD EACH32(STORE_ZMM) EACH8(STORE_MASK) "vzeroupper\n\tret");
}

/* The protection keys' register: key 15 is unused, whatever its bits say. */
HOLDER(hold_pkru)
{
    __asm__(
        "push %rbx\n\tpush %r12\n\t"
        "mov %rdx, %rbx\n\tmov %rcx, %r12\n\t"
        "xor %ecx, %ecx\n\t"
        "rdpkru\n\t" /* to edx:eax, wants ecx = 0 */
        "mov %eax, %r9d\n\t"
        "xor %edx, %edx\n\t"
        "mov (%rsi), %eax\n\t"
        "wrpkru\n\t"
        HOLD
        "xor %ecx, %ecx\n\t"
        "rdpkru\n\t"
        "mov %rax, (%r12)\n\t"
        "mov %r9d, %eax\n\t"
        "xor %edx, %edx\n\t"
        "wrpkru\n\t"
        "pop %r12\n\tpop %rbx\n\t"
        "ret");
}

typedef void holder(const void *, const uint64_t *, void *, uint64_t *, uint64_t);

struct group
{
    const char *name;
    holder *hold;
    size_t width; /* bytes of a vector that count, of 64 */
    size_t count; /* vectors */
    size_t controls;
    uint64_t first_control; /* 0: any value goes */
    bool present;
};

static struct group groups[] = {
    {"x87", hold_x87, 0, 0, 0, 0x0a7f, true},          /* up, double precision, all masked */
    {"xmm", hold_xmm, 16, 16, 1, 0xffe1, true},        /* flush to zero, towards zero, denormals are zero, PE and IE */
    {"ymm", hold_ymm, 32, 16, 0, 0, false},
    {"zmm", hold_zmm, 64, 32, 8, 0, false},
    {"pkru", hold_pkru, 0, 0, 1, 0xc0000000, false},
};

struct job
{
    struct group *group;
    uint64_t rounds;
    uint32_t seed;
};

static const uint64_t spin_rounds = 40000000;

/*
 * What fnsave stores: control, status and tag words; where the last instruction and its operand were, which AMD's processors make zero
 * at every switch of tasks unless an exception is pending (Linux: X86_FEATURE_XSAVEERPTR, X86_BUG_FXSAVE_LEAK); the stack.
 */
enum { x87_last_instruction = 12, x87_stack = 28, x87_size = 108 };

static void compare(const struct job *job, const struct state *loaded, const struct state *found)
{
    const struct group *group = job->group;
    for (size_t i = 0; i < group->count; i++)
    {
        if (memcmp(loaded->vectors + 64 * i, found->vectors + 64 * i, group->width) != 0)
        {
            target_fail("%s%zu changed while the thread %s", group->name, i, job->rounds ? "was spinning" : "slept");
        }
    }
    for (size_t i = 0; i < group->controls; i++)
    {
        if (loaded->control[i] != found->control[i])
        {
            target_fail("%s control %zu is %#llx, expected %#llx", group->name, i, (long long)found->control[i],
                        (long long)loaded->control[i]);
        }
    }
}

static void *check_group(void *argument)
{
    const struct job *job = argument;
    struct state loaded, found, first;

    memset(&first, 0, sizeof(first));
    target_fill(loaded.vectors, sizeof(loaded.vectors), job->seed, 0);
    target_fill(loaded.control, sizeof(loaded.control), job->seed + 1, 0);
    if (job->group->first_control != 0)
    {
        loaded.control[0] = job->group->first_control;
    }

    /* x87 state is what fnsave stores; the reference is what it stores at once. */
    job->group->hold(loaded.vectors, loaded.control, first.vectors, first.control, 1);
    for (;;)
    {
        memset(&found, 0, sizeof(found));
        job->group->hold(loaded.vectors, loaded.control, found.vectors, found.control, job->rounds);
        compare(job, &loaded, &found);
        for (size_t i = 0; job->group->hold == hold_x87 && i < x87_size; i++)
        {
            if (i < x87_last_instruction || i >= x87_stack)
            {
                TARGET_EQUAL(first.vectors[i], found.vectors[i]);
            }
        }
    }
}

static void *check_general(void *unused)
{
    (void)unused;
    for (;;)
    {
        TARGET_EQUAL(0, hold_general(spin_rounds));
    }
}

/* The GS base is free for programs; libc needs only FS. */
static void *check_gs_base(void *argument)
{
    uint64_t base = (uint64_t)(uintptr_t)argument, found;
    TARGET_CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, base) == 0);
    for (;;)
    {
        TARGET_CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &found) == 0);
        TARGET_EQUAL(base, found);
        TARGET_EQUAL(0x60, *(const uint8_t __seg_gs *)0x20);
        target_running(5);
    }
}

int main(int argc, char **argv)
{
    static struct job jobs[2 * TARGET_COUNT(groups)];
    static uint8_t gs_area[256];

    target_begin(argc, argv);
    groups[2].present = state_enabled(0x6) && __builtin_cpu_supports("avx");
    groups[3].present = state_enabled(0xe6) && __builtin_cpu_supports("avx512bw");
    groups[4].present = leaf7_has(0, bit_OSPKE);

    target_thread(check_general, NULL);
    gs_area[0x20] = 0x60;
    target_thread(check_gs_base, gs_area);
    for (size_t i = 0; i < TARGET_COUNT(jobs); i++)
    {
        jobs[i] = (struct job){&groups[i / 2], i % 2 ? spin_rounds : 0, (uint32_t)i * 7 + 1};
        if (jobs[i].group->present)
        {
            target_thread(check_group, &jobs[i]);
        }
    }

    target_ready();
    while (target_running(20))
    {
    }

    /* Every thread that fails ends the program: give each the time of a few turns after whatever happened. */
    usleep(500000);
    return target_end();
}
