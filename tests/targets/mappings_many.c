/*
 * Kernel object: five thousand vm_area_structs, neighbours that differ in their protection so that the kernel cannot merge
 * them, one written page in each; what costs time per mapping shows here.
 */
#include "target.h"

#include <sys/mman.h>

enum { mappings = 5000 };

int main(int argc, char **argv)
{
    target_begin(argc, argv);
    uint8_t *memory = mmap(NULL, mappings * TARGET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(memory != MAP_FAILED);
    for (uint32_t i = 0; i < mappings; i++)
    {
        target_fill(memory + i * TARGET_PAGE, TARGET_PAGE, i, 0);
        TARGET_CHECK(mprotect(memory + i * TARGET_PAGE, TARGET_PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE) == 0);
    }

    target_ready();
    for (uint32_t i = 0; target_running(i % 100 == 0 ? 10 : 0); i++)
    {
        uint32_t page = i % mappings;
        target_verify(memory + page * TARGET_PAGE, TARGET_PAGE, page, 0, "one of many mappings");
    }

    for (uint32_t i = 0; i < mappings; i++)
    {
        target_verify(memory + i * TARGET_PAGE, TARGET_PAGE, i, 0, "one of many mappings");
    }
    return target_end();
}
