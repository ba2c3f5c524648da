/*
 * Kernel object: pipes whose reading end has the number that pipe(2) gives the writing one, and the other way round, in a table without gaps: no order of making
 * them gives that.
 */
#include "target.h"

enum { pipes = 300 };

static int ends[pipes][2];

static void make(int i)
{
    int pair[2];
    TARGET_CHECK(pipe(pair) == 0);
    int spare = dup(pair[0]);
    TARGET_CHECK(dup2(pair[1], pair[0]) == pair[0] && dup2(spare, pair[1]) == pair[1] && close(spare) == 0);
    ends[i][0] = pair[1];
    ends[i][1] = pair[0];
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < pipes; i++)
    {
        make(i);
    }
    target_ready();
    do
    {
        for (int i = 0; i < pipes; i++)
        {
            char byte = 0;
            TARGET_EQUAL(1, write(ends[i][1], "y", 1));
            TARGET_EQUAL(1, read(ends[i][0], &byte, 1));
            TARGET_EQUAL('y', byte);
        }
    } while (target_running(20));
    return target_end();
}
