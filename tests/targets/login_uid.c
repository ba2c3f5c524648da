/*
 * The audit login uid. Who has none may take one, once; where that is not permitted, the one that is there must stay.
 */
#include "target.h"

static unsigned login_uid(int *error)
{
    char text[16] = "";
    int fd = open("/proc/self/loginuid", O_RDONLY);
    *error = fd < 0 ? errno : 0;
    if (fd >= 0)
    {
        TARGET_CHECK(read(fd, text, sizeof(text) - 1) > 0);
        close(fd);
    }

    return (unsigned)strtoul(text, NULL, 10);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    int error, fd = open("/proc/self/loginuid", O_WRONLY);
    if (fd >= 0)
    {
        TARGET_CHECK(write(fd, "3", 1) == 1 || errno == EPERM);
        close(fd);
    }

    unsigned mine = login_uid(&error);
    TARGET_CHECK(error == 0 || error == ENOENT);
    target_ready();
    while (target_running(50))
    {
        int now;
        TARGET_EQUAL(mine, login_uid(&now));
        TARGET_EQUAL(error, now);
    }

    return target_end();
}
