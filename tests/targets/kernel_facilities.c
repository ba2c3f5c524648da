/*
 * Descriptors of the kernel's facilities that cannot be saved: a perf event, and of BPF a program, a link, types, and a map of a kind that has elements for each
 * processor. They are the only descriptors besides the standard ones and the status file. Afterwards they may be closed, or lead to /dev/null; the program
 * says which.
 */
#include "target.h"
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <stddef.h>

enum { FACILITIES = 5 };

static int facilities[FACILITIES];

static int bpf(int command, union bpf_attr *attributes)
{
    return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int make_event(void)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(attributes), .config = PERF_COUNT_SW_TASK_CLOCK};
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* r0 = 0; exit */
static int make_program(void)
{
    struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT, .insn_cnt = TARGET_COUNT(code), .insns = (uint64_t)code, .license = (uint64_t) "GPL",
    };
    return bpf(BPF_PROG_LOAD, &attributes);
}

static int make_link(int program)
{
    union bpf_attr attributes = {.raw_tracepoint = {.name = (uint64_t) "task_rename", .prog_fd = (uint32_t)program}};
    return bpf(BPF_RAW_TRACEPOINT_OPEN, &attributes);
}

/* One type: int. */
static int make_types(void)
{
    struct
    {
        struct btf_header header;
        struct btf_type type;
        uint32_t encoding;
        char names[8];
    } types = {
        .header = {.magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof(struct btf_header), .type_len = 16, .str_off = 16, .str_len = 5},
        .type = {.name_off = 1, .info = BTF_KIND_INT << 24, .size = 4}, .encoding = 32, .names = "\0int",
    };
    union bpf_attr attributes = {.btf = (uint64_t)&types, .btf_size = offsetof(typeof(types), names) + 5};
    return bpf(BPF_BTF_LOAD, &attributes);
}

static int make_map(void)
{
    union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_PERCPU_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 2};
    return bpf(BPF_MAP_CREATE, &attributes);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    facilities[0] = make_event();
    facilities[1] = make_program();
    facilities[2] = make_link(facilities[1]);
    facilities[3] = make_types();
    facilities[4] = make_map();
    for (int i = 0; i < FACILITIES; i++)
    {
        TARGET_CHECK(facilities[i] >= 0);
    }

    target_ready();
    while (target_running(1000))
    {
    }

    for (int i = 0; i < FACILITIES; i++)
    {
        char link[64] = "closed", name[32];
        snprintf(name, sizeof(name), "/proc/self/fd/%d", facilities[i]);
        (void)!readlink(name, link, sizeof(link) - 2);
        target_say(strcat(link, "\n"));
    }

    return target_end();
}
