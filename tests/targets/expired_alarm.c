/*
 * Kernel object: a real interval timer (setitimer(2)) that has expired while its signal is blocked. It starts again only when the signal is
 * taken: until then nothing is left of its time, and yet it is not stopped.
 */
#include "target.h"

#include <sys/time.h>

enum { period = 20 };

static void take(const sigset_t *alarm, int seconds)
{
    TARGET_EQUAL(SIGALRM, sigtimedwait(alarm, NULL, &(struct timespec){seconds, 0}));
}

int main(int count, char **arguments)
{
    sigset_t alarm;
    sigset_t waiting;
    struct itimerval time = {{0, period * 1000}, {0, period * 1000}};
    target_begin(count, arguments);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    TARGET_CHECK(sigprocmask(SIG_BLOCK, &alarm, NULL) == 0);
    TARGET_CHECK(setitimer(ITIMER_REAL, &time, NULL) == 0);
    do
    {
        TARGET_CHECK(sigpending(&waiting) == 0);
    } while (sigismember(&waiting, SIGALRM) == 0);
    target_ready();
    while (target_running(50))
    {
    }
    take(&alarm, 0);
    take(&alarm, 60);
    take(&alarm, 60);
    return target_end();
}
