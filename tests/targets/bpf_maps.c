/* Maps of bpf(2): an array, a hash table that two descriptors open, one of them for reading only, an empty one, a frozen one, and a trie. */
#include "target.h"
#include <linux/bpf.h>

#define ENTRIES 300

static int array, table, reader, empty, frozen, trie;

static long call(int command, union bpf_attr *attributes)
{
    return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int make(unsigned type, const char *name, unsigned key, unsigned value, unsigned flags)
{
    union bpf_attr a = {.map_type = type, .key_size = key, .value_size = value, .max_entries = ENTRIES, .map_flags = flags};
    strcpy(a.map_name, name);
    int map = (int)call(BPF_MAP_CREATE, &a);
    TARGET_CHECK(map >= 0);
    return map;
}

static long update(int map, const void *key, const void *value)
{
    union bpf_attr a = {.map_fd = (unsigned)map, .key = (uint64_t)key, .value = (uint64_t)value};
    return call(BPF_MAP_UPDATE_ELEM, &a);
}

static long find(int map, const void *key, void *value)
{
    union bpf_attr a = {.map_fd = (unsigned)map, .key = (uint64_t)key, .value = (uint64_t)value};
    return call(BPF_MAP_LOOKUP_ELEM, &a);
}

static struct bpf_map_info describe(int map)
{
    struct bpf_map_info info = {0};
    union bpf_attr a = {.info = {.bpf_fd = (unsigned)map, .info_len = sizeof(info), .info = (uint64_t)&info}};
    TARGET_CHECK(call(BPF_OBJ_GET_INFO_BY_FD, &a) == 0);
    return info;
}

static void verify(void)
{
    uint64_t value;
    char wide[24];
    for (uint32_t i = 0; i < ENTRIES; i++)
    {
        TARGET_CHECK(find(array, &i, &value) == 0);
        TARGET_EQUAL(i * 7ULL, value);
        TARGET_CHECK(find(i % 2 == 0 ? table : reader, &i, wide) == (i % 3 == 0 ? 0 : -1));
        if (i % 3 == 0)
        {
            target_verify(wide, sizeof(wide), i, 0, "table");
        }
        TARGET_CHECK(find(empty, &i, &value) == -1 && errno == ENOENT);
    }

    uint32_t one = 1, prefix[2] = {32, 0x0100000a};
    TARGET_CHECK(find(frozen, &one, &value) == 0);
    TARGET_EQUAL(77, value);
    TARGET_CHECK(update(frozen, &one, &value) == -1 && errno == EPERM);
    TARGET_CHECK(update(reader, &one, wide) == -1 && errno == EPERM);
    TARGET_CHECK(find(trie, prefix, &value) == 0);
    TARGET_EQUAL(88, value);
    TARGET_EQUAL(describe(table).id, describe(reader).id);
    TARGET_CHECK(strcmp(describe(trie).name, "the_trie") == 0);
    TARGET_EQUAL(BPF_F_NO_PREALLOC, describe(trie).map_flags);
    TARGET_EQUAL(ENTRIES, describe(array).max_entries);
}

int main(int count, char **arguments)
{
    uint64_t value = 77;
    uint32_t one = 1, prefix[2] = {8, 0x0000000a};
    char wide[24];

    target_begin(count, arguments);
    array = make(BPF_MAP_TYPE_ARRAY, "the_array", 4, 8, 0);
    table = make(BPF_MAP_TYPE_HASH, "table", 4, 24, 0);
    empty = make(BPF_MAP_TYPE_LRU_HASH, "empty", 4, 8, 0);
    frozen = make(BPF_MAP_TYPE_ARRAY, "frozen", 4, 8, BPF_F_MMAPABLE);
    trie = make(BPF_MAP_TYPE_LPM_TRIE, "the_trie", 8, 8, BPF_F_NO_PREALLOC);
    TARGET_CHECK(update(frozen, &one, &value) == 0);
    union bpf_attr freeze = {.map_fd = (unsigned)frozen};
    TARGET_CHECK(call(BPF_MAP_FREEZE, &freeze) == 0);
    value = 88;
    TARGET_CHECK(update(trie, prefix, &value) == 0);
    union bpf_attr open = {.map_id = describe(table).id, .open_flags = BPF_F_RDONLY};
    reader = (int)call(BPF_MAP_GET_FD_BY_ID, &open);
    TARGET_CHECK(reader >= 0);
    for (uint32_t i = 0; i < ENTRIES; i++)
    {
        value = i * 7ULL;
        TARGET_CHECK(update(array, &i, &value) == 0);
        target_fill(wide, sizeof(wide), i, 0);
        TARGET_CHECK(i % 3 != 0 || update(table, &i, wide) == 0);
    }

    target_ready();
    while (target_running(20))
    {
        verify();
    }

    /* What one opened, the other sees. */
    target_fill(wide, sizeof(wide), 9, 0);
    TARGET_CHECK(update(table, &one, wide) == 0);
    memset(wide, 0, sizeof(wide));
    TARGET_CHECK(find(reader, &one, wide) == 0);
    target_verify(wide, sizeof(wide), 9, 0, "table");
    return target_end();
}
