/*
 * Kernel object: a unix socket that is connected with one of another program, at the path in the environment variable STREAM or DATAGRAM. At the end it says "bye".
 */
#include "target.h"

#include <sys/socket.h>
#include <sys/un.h>

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    const char *stream = getenv("STREAM"), *path = stream != NULL ? stream : getenv("DATAGRAM");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    TARGET_CHECK(path != NULL && strlen(path) < sizeof(name.sun_path));
    strcpy(name.sun_path, path);
    int fd = socket(AF_UNIX, stream != NULL ? SOCK_STREAM : SOCK_DGRAM, 0);
    TARGET_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    target_ready();

    while (target_running(50))
    {
    }

    TARGET_CHECK(send(fd, "bye", 3, MSG_NOSIGNAL) == 3);
    return target_end();
}
