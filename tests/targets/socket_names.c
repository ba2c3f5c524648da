/*
 * Kernel object: names of unix sockets. A path with owner and mode, a relative one after the program went elsewhere, paths whose file is removed, or replaced, or
 * moved, or whose directory is gone; abstract names with zero bytes, and one that the kernel chose. Who connects with a name afterwards reaches its socket.
 */
#include "target.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct name
{
    struct sockaddr_un address;
    socklen_t length;
};

static struct name path_name(const char *path)
{
    struct name name = {{.sun_family = AF_UNIX}, 0};
    TARGET_CHECK(strlen(path) < sizeof(name.address.sun_path));
    strcpy(name.address.sun_path, path);
    name.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
    return name;
}

static struct name abstract_name(const char *text, size_t length)
{
    struct name name = {{.sun_family = AF_UNIX}, 0};
    memcpy(name.address.sun_path + 1, text, length);
    name.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    return name;
}

static int listener(struct name name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    TARGET_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&name.address, name.length) == 0 && listen(fd, 3) == 0);
    return fd;
}

static void has_name(int fd, struct name expected)
{
    struct name name = {.length = sizeof(name.address)};
    TARGET_CHECK(getsockname(fd, (struct sockaddr *)&name.address, &name.length) == 0);
    TARGET_EQUAL(expected.length, name.length);
    TARGET_CHECK(memcmp(&expected.address, &name.address, name.length) == 0);
}

static void reach(struct name name, int listening)
{
    char byte;
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    TARGET_CHECK(client >= 0 && connect(client, (struct sockaddr *)&name.address, name.length) == 0);
    TARGET_CHECK(send(client, "h", 1, 0) == 1);
    int server = accept(listening, NULL, NULL);
    TARGET_CHECK(server >= 0 && recv(server, &byte, 1, 0) == 1 && byte == 'h');
    close(client);
    close(server);
}

static void reach_nobody(struct name name, int error)
{
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    TARGET_CHECK(client >= 0 && connect(client, (struct sockaddr *)&name.address, name.length) < 0);
    TARGET_EQUAL(error, errno);
    close(client);
}

static struct stat status(const char *path)
{
    struct stat found;
    TARGET_CHECK(lstat(path, &found) == 0);
    return found;
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    char plain[200], removed[200], replaced[200], before[200], after[200], gone[200], gone_directory[200], lost[200], directory[200], abstract[64] = "";
    snprintf(plain, sizeof(plain), "%s", target_file("p"));
    snprintf(removed, sizeof(removed), "%s", target_file("r"));
    snprintf(replaced, sizeof(replaced), "%s", target_file("x"));
    snprintf(before, sizeof(before), "%s", target_file("b"));
    snprintf(after, sizeof(after), "%s", target_file("a"));
    snprintf(lost, sizeof(lost), "%s", target_file("l"));
    snprintf(gone_directory, sizeof(gone_directory), "%s", target_file("d"));
    snprintf(gone, sizeof(gone), "%s", target_file("d/g"));
    snprintf(directory, sizeof(directory), "%s", target_file("w"));
    TARGET_CHECK(mkdir(gone_directory, 0755) == 0 && mkdir(directory, 0755) == 0);

    int plain_fd = listener(path_name(plain)), removed_fd = listener(path_name(removed)), old_fd = listener(path_name(replaced)), moved_fd = listener(path_name(before));
    TARGET_CHECK(chmod(plain, 0640) == 0);
    bool root = geteuid() == 0;
    TARGET_CHECK(!root || chown(plain, 7, 8) == 0);
    TARGET_CHECK(unlink(removed) == 0 && unlink(replaced) == 0 && rename(before, after) == 0);
    int new_fd = listener(path_name(replaced)), gone_fd = listener(path_name(gone));
    TARGET_CHECK(unlink(gone) == 0 && rmdir(gone_directory) == 0);
    int lost_fd = listener(path_name(lost));
    TARGET_CHECK(unlink(lost) == 0 && close(open(lost, O_CREAT | O_WRONLY, 0600)) == 0);

    TARGET_CHECK(chdir(directory) == 0);
    int relative_fd = listener(path_name("rel")), below_fd = listener(path_name("../up"));
    TARGET_CHECK(chdir("/") == 0);
    char relative[220], below[220];
    snprintf(relative, sizeof(relative), "%s", target_file("w/rel"));
    snprintf(below, sizeof(below), "%s", target_file("up"));

    snprintf(abstract, sizeof(abstract), "criups %d %cand%c", getpid(), 0, 0);
    struct name with_zeros = abstract_name(abstract, 30), chosen = {.length = sizeof(chosen.address)}, automatic = {{.sun_family = AF_UNIX}, sizeof(sa_family_t)};
    int abstract_fd = listener(with_zeros), chosen_fd = listener(automatic);
    TARGET_CHECK(getsockname(chosen_fd, (struct sockaddr *)&chosen.address, &chosen.length) == 0 && chosen.length > sizeof(sa_family_t));
    target_ready();

    while (target_running(50))
    {
        has_name(plain_fd, path_name(plain));
    }

    struct stat found = status(plain);
    TARGET_EQUAL(S_IFSOCK | 0640, found.st_mode);
    TARGET_CHECK(!root || (found.st_uid == 7 && found.st_gid == 8));
    reach(path_name(plain), plain_fd);
    has_name(removed_fd, path_name(removed));
    reach_nobody(path_name(removed), ENOENT);
    has_name(old_fd, path_name(replaced));
    has_name(new_fd, path_name(replaced));
    reach(path_name(replaced), new_fd);
    has_name(moved_fd, path_name(before));
    reach(path_name(after), moved_fd);
    TARGET_CHECK(access(before, F_OK) < 0);
    has_name(gone_fd, path_name(gone));
    TARGET_CHECK(access(gone_directory, F_OK) < 0);
    has_name(lost_fd, path_name(lost));
    TARGET_CHECK(S_ISREG(status(lost).st_mode));
    has_name(relative_fd, path_name("rel"));
    reach(path_name(relative), relative_fd);
    has_name(below_fd, path_name("../up"));
    reach(path_name(below), below_fd);
    has_name(abstract_fd, with_zeros);
    reach(with_zeros, abstract_fd);
    has_name(chosen_fd, chosen);
    reach(chosen, chosen_fd);
    return target_end();
}
