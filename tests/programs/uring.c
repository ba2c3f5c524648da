/* Reads a file by liburing again and again, 16 blocks at once into registered buffers, until it is told to stop; each time the sum must be that of read(2). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BLOCKS = 16, BLOCK = 4096 };

static uint8_t memory[BLOCKS][BLOCK];

static void finish(const char *folder, const char *result)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/result", folder);
    FILE *file = fopen(path, "w");
    fputs(result, file);
    fclose(file);
    exit(0);
}

static uint64_t sum(const uint8_t *bytes, int length, off_t offset)
{
    uint64_t value = 0;
    for (int i = 0; i < length; i++)
    {
        value += bytes[i] * (uint64_t)(offset + i + 1);
    }

    return value;
}

static uint64_t sum_by_read(int file)
{
    uint64_t value = 0;
    off_t offset = 0;
    for (ssize_t length; (length = pread(file, memory[0], BLOCK, offset)) > 0; offset += length)
    {
        value += sum(memory[0], (int)length, offset);
    }

    return value;
}

/* Each completion is followed by the next request for the same buffer. */
static uint64_t sum_by_ring(struct io_uring *ring, off_t size)
{
    static off_t offsets[BLOCKS];
    uint64_t value = 0;
    off_t next = 0;
    int under_way = 0;
    for (int i = 0; i < BLOCKS || under_way > 0;)
    {
        int buffer = i;
        if (i >= BLOCKS)
        {
            struct io_uring_cqe *done;
            int error = io_uring_submit_and_wait(ring, 1);
            if (error < 0 && error != -EINTR)
            {
                return 0;
            }

            if (io_uring_peek_cqe(ring, &done) != 0)
            {
                continue;
            }

            buffer = (int)done->user_data;
            if (done->res <= 0)
            {
                return 0;
            }

            value += sum(memory[buffer], done->res, offsets[buffer]);
            io_uring_cqe_seen(ring, done);
            under_way--;
        }
        else
        {
            i++;
        }

        if (next < size)
        {
            struct io_uring_sqe *request = io_uring_get_sqe(ring);
            io_uring_prep_read_fixed(request, 0, memory[buffer], BLOCK, (uint64_t)next, buffer);
            request->flags |= IOSQE_FIXED_FILE;
            request->user_data = (uint64_t)buffer;
            offsets[buffer] = next;
            next += BLOCK;
            under_way++;
        }
    }

    return value;
}

int main(int count, char **arguments)
{
    const char *folder = arguments[count - 1];
    char path[4096], stop[4096];
    struct io_uring ring;
    struct iovec buffers[BLOCKS];
    int file = open(arguments[1], O_RDONLY);
    off_t size = lseek(file, 0, SEEK_END);
    uint64_t expected = sum_by_read(file);
    for (int i = 0; i < BLOCKS; i++)
    {
        buffers[i] = (struct iovec){memory[i], BLOCK};
    }

    if (io_uring_queue_init(BLOCKS, &ring, 0) != 0 || io_uring_register_buffers(&ring, buffers, BLOCKS) != 0
        || io_uring_register_files(&ring, &file, 1) != 0)
    {
        finish(folder, "no rings");
    }

    snprintf(path, sizeof(path), "%s/progress", folder);
    snprintf(stop, sizeof(stop), "%s/stop", folder);
    for (int round = 1; access(stop, F_OK) != 0; round++)
    {
        if (sum_by_ring(&ring, size) != expected)
        {
            finish(folder, "wrong");
        }

        FILE *progress = fopen(path, "w");
        fprintf(progress, "%d\n", round);
        fclose(progress);
    }

    finish(folder, "right");
}
