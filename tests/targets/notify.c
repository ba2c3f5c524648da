/*
 * Watches with events that nobody has read: every kind of event, files and directories, names, renames with both halves and with one, deleted and replaced
 * files, watches that are gone, a queue that ran over. Watches of a file that has been deleted and is still open, and of a symbolic link. Marks of fanotify.
 */
#include "target.h"
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#define ROOM 65536

static int watcher, overrun, nameless, link_watcher, group, plain_group;
static int folder_watch, other_watch, file_watch, gone_watch, link_watch;
static int open_deleted;
static char folder[3 * PATH_MAX], other[3 * PATH_MAX], file[3 * PATH_MAX];

struct expected
{
    int watch;
    uint32_t mask;
    const char *name;
    int pair; /* equal numbers: one rename */
};

static const char *in(const char *directory, const char *name)
{
    static char paths[4][4 * PATH_MAX];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static void touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    TARGET_CHECK(fd >= 0);
    TARGET_EQUAL(1, write(fd, "x", 1));
    close(fd);
}

static void make_folders(void)
{
    snprintf(folder, sizeof(folder), "%s/watched", target_folder());
    snprintf(other, sizeof(other), "%s/other", target_folder());
    snprintf(file, sizeof(file), "%s/file", target_folder());
    TARGET_CHECK(mkdir(folder, 0700) == 0);
    TARGET_CHECK(mkdir(other, 0700) == 0);
    touch(file);
    touch(in(folder, "old"));
    touch(in(target_folder(), "outside"));
    touch(in(target_folder(), "gone"));
}

static void make_events(void)
{
    watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    folder_watch = inotify_add_watch(watcher, folder, IN_ALL_EVENTS);
    other_watch = inotify_add_watch(watcher, other, IN_MOVED_TO | IN_CREATE);
    file_watch = inotify_add_watch(watcher, file, IN_ALL_EVENTS);
    gone_watch = inotify_add_watch(watcher, in(target_folder(), "gone"), IN_DELETE_SELF);

    char byte;
    int fd = open(in(folder, "old"), O_RDONLY);                              /* open, access, close */
    TARGET_EQUAL(1, read(fd, &byte, 1));
    close(fd);
    fd = open(in(folder, "new \377\n"), O_CREAT | O_RDWR, 0600);             /* create, open, modify, attrib, close */
    TARGET_EQUAL(1, write(fd, "y", 1));
    fchmod(fd, 0644);
    close(fd);
    mkdir(in(folder, "sub"), 0700);                                         /* create of a directory */
    rename(in(folder, "old"), in(folder, "older"));                         /* both halves in one directory */
    rename(in(folder, "older"), in(other, "moved"));                        /* halves in two directories */
    rename(in(target_folder(), "outside"), in(folder, "inside"));           /* one half */
    rename(in(folder, "inside"), in(target_folder(), "outside"));           /* the other one */
    rmdir(in(folder, "sub"));
    unlink(in(folder, "new \377\n"));
    rename(file, in(target_folder(), "file2"));                             /* move of what is watched */
    rename(in(target_folder(), "file2"), file);
    fd = open(file, O_WRONLY);
    TARGET_EQUAL(1, write(fd, "z", 1));
    close(fd);
    unlink(in(target_folder(), "gone"));                                    /* delete, ignored */
    TARGET_EQUAL(0, inotify_rm_watch(watcher, other_watch));                /* ignored */
    chmod(folder, 0755);                                                    /* attrib of the directory itself */
}

static void check_list(int fd, const struct expected *list, size_t count)
{
    static char buffer[ROOM] __attribute__((aligned(8)));
    ssize_t length = read(fd, buffer, sizeof(buffer));
    TARGET_CHECK(length > 0);
    uint32_t cookies[8] = {0};
    size_t i = 0;
    for (char *at = buffer; at < buffer + length; i++)
    {
        const struct inotify_event *event = (const struct inotify_event *)at;
        TARGET_CHECK(i < count);
        TARGET_EQUAL(list[i].watch, event->wd);
        TARGET_EQUAL(list[i].mask, event->mask);
        const char *name = event->len == 0 ? "" : event->name;
        if (strcmp(name, list[i].name) != 0)
        {
            target_fail("event %zu is about '%s', expected '%s'", i, name, list[i].name);
        }

        TARGET_EQUAL(list[i].pair != 0, event->cookie != 0);
        if (list[i].pair != 0)
        {
            uint32_t *known = &cookies[list[i].pair];
            TARGET_CHECK(*known == 0 || *known == event->cookie);
            *known = event->cookie;
        }

        at += sizeof(*event) + event->len;
    }

    TARGET_EQUAL(count, i);
    TARGET_EQUAL(-1, read(fd, buffer, sizeof(buffer)));
    TARGET_EQUAL(EAGAIN, errno);
}

static void check_events(void)
{
    const char *odd = "new \377\n";
    const struct expected list[] = {
        {folder_watch, IN_OPEN, "old", 0}, {folder_watch, IN_ACCESS, "old", 0}, {folder_watch, IN_CLOSE_NOWRITE, "old", 0},
        {folder_watch, IN_CREATE, odd, 0}, {folder_watch, IN_OPEN, odd, 0}, {folder_watch, IN_MODIFY, odd, 0}, {folder_watch, IN_ATTRIB, odd, 0},
        {folder_watch, IN_CLOSE_WRITE, odd, 0}, {folder_watch, IN_CREATE | IN_ISDIR, "sub", 0},
        {folder_watch, IN_MOVED_FROM, "old", 1}, {folder_watch, IN_MOVED_TO, "older", 1},
        {folder_watch, IN_MOVED_FROM, "older", 2}, {other_watch, IN_MOVED_TO, "moved", 2},
        {folder_watch, IN_MOVED_TO, "inside", 3}, {folder_watch, IN_MOVED_FROM, "inside", 4},
        {folder_watch, IN_DELETE | IN_ISDIR, "sub", 0}, {folder_watch, IN_DELETE, odd, 0},
        {file_watch, IN_MOVE_SELF, "", 0}, {file_watch, IN_OPEN, "", 0}, {file_watch, IN_MODIFY, "", 0},
        {file_watch, IN_CLOSE_WRITE, "", 0}, {gone_watch, IN_DELETE_SELF, "", 0}, {gone_watch, IN_IGNORED, "", 0},
        {other_watch, IN_IGNORED, "", 0}, {folder_watch, IN_ATTRIB | IN_ISDIR, "", 0},
    };
    check_list(watcher, list, TARGET_COUNT(list));

    /* The watches are where they were. */
    touch(in(folder, "after"));
    close(open(file, O_RDONLY));
    const struct expected after[] = {
        {folder_watch, IN_CREATE, "after", 0}, {folder_watch, IN_OPEN, "after", 0}, {folder_watch, IN_MODIFY, "after", 0},
        {folder_watch, IN_CLOSE_WRITE, "after", 0}, {file_watch, IN_OPEN, "", 0}, {file_watch, IN_CLOSE_NOWRITE, "", 0},
    };
    check_list(watcher, after, TARGET_COUNT(after));
    int next = inotify_add_watch(watcher, target_folder(), IN_CREATE);
    TARGET_EQUAL(gone_watch + 1, next);
}

static int room(void)
{
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    int value = 0;
    TARGET_EQUAL(1, fscanf(limit, "%d", &value));
    fclose(limit);
    return value;
}

/* A queue that ran over, was read a little, and went on. */
static void make_overrun(void)
{
    char path[4 * PATH_MAX], buffer[16 * 100], byte;
    overrun = inotify_init1(IN_NONBLOCK);
    snprintf(path, sizeof(path), "%s/busy", target_folder());
    touch(path);
    inotify_add_watch(overrun, path, IN_MODIFY | IN_ACCESS);
    int fd = open(path, O_RDWR);
    for (int i = 0; i < room() / 2 + 100; i++)
    {
        TARGET_EQUAL(1, pwrite(fd, "b", 1, 0));
        TARGET_EQUAL(1, pread(fd, &byte, 1, 0));
    }

    TARGET_EQUAL(sizeof(buffer), read(overrun, buffer, sizeof(buffer)));
    TARGET_EQUAL(1, pread(fd, &byte, 1, 0));
    TARGET_EQUAL(1, pwrite(fd, "b", 1, 0));
    close(fd);
}

static void check_overrun(void)
{
    static char buffer[ROOM] __attribute__((aligned(8)));
    int count = 0, lost_at = -1;
    for (ssize_t length; (length = read(overrun, buffer, sizeof(buffer))) > 0;)
    {
        for (char *at = buffer; at < buffer + length; at += sizeof(struct inotify_event), count++)
        {
            const struct inotify_event *event = (const struct inotify_event *)at;
            lost_at = event->mask == IN_Q_OVERFLOW ? count : lost_at;
        }
    }

    TARGET_EQUAL(room() - 100, lost_at);
    TARGET_EQUAL(room() - 100 + 3, count);
}

/* The name is gone, the file is not. */
static void make_nameless(void)
{
    char path[4 * PATH_MAX], buffer[4096];
    snprintf(path, sizeof(path), "%s/deleted", target_folder());
    touch(path);
    nameless = inotify_init1(IN_NONBLOCK);
    open_deleted = open(path, O_RDWR);
    TARGET_CHECK(nameless < open_deleted);
    TARGET_EQUAL(1, inotify_add_watch(nameless, path, IN_MODIFY | IN_DELETE_SELF));
    unlink(path);
    snprintf(path, sizeof(path), "%s/link", target_folder());
    TARGET_EQUAL(0, symlink("nowhere", path));
    link_watcher = inotify_init1(IN_NONBLOCK);
    link_watch = inotify_add_watch(link_watcher, path, IN_DELETE_SELF | IN_ATTRIB | IN_DONT_FOLLOW);
    TARGET_EQUAL(1, link_watch);
    TARGET_EQUAL(-1, read(link_watcher, buffer, sizeof(buffer)));
}

static void check_nameless(void)
{
    char path[4 * PATH_MAX];
    TARGET_EQUAL(1, write(open_deleted, "n", 1));
    close(open_deleted);
    const struct expected deleted[] = {{1, IN_MODIFY, "", 0}, {1, IN_DELETE_SELF, "", 0}, {1, IN_IGNORED, "", 0}};
    check_list(nameless, deleted, TARGET_COUNT(deleted));
    snprintf(path, sizeof(path), "%s/link", target_folder());
    unlink(path);
    const struct expected link[] = {{1, IN_ATTRIB, "", 0}, {1, IN_DELETE_SELF, "", 0}, {1, IN_IGNORED, "", 0}};
    check_list(link_watcher, link, TARGET_COUNT(link));
}

static void make_marks(void)
{
    group = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC | FAN_UNLIMITED_QUEUE, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
    TARGET_CHECK(group >= 0);
    TARGET_EQUAL(0, fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_MODIFY | FAN_ONDIR, AT_FDCWD, "/dev/shm"));
    TARGET_EQUAL(0, fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY,
                                  FAN_OPEN, AT_FDCWD, "/dev/shm"));
    plain_group = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_FID | FAN_REPORT_DFID_NAME, O_RDONLY);
    TARGET_CHECK(plain_group >= 0);
    TARGET_EQUAL(0, fanotify_mark(plain_group, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE | FAN_EVENT_ON_CHILD, AT_FDCWD, folder));
    TARGET_EQUAL(0, fanotify_mark(plain_group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_DELETE_SELF, AT_FDCWD, "/dev/shm"));
}

static void check_marks(void)
{
    char buffer[4096] __attribute__((aligned(8)));
    const struct fanotify_event_metadata *event = (const struct fanotify_event_metadata *)buffer;
    struct pollfd ready = {plain_group, POLLIN, 0};
    TARGET_EQUAL(1, poll(&ready, 1, 5000));
    TARGET_CHECK(read(plain_group, buffer, sizeof(buffer)) > 0);
    TARGET_EQUAL(FAN_CREATE, event->mask);
    TARGET_EQUAL(getpid(), event->pid);
    char path[64];
    snprintf(path, sizeof(path), "/dev/shm/criups-notify-%d", getpid());
    touch(path);
    unlink(path);
    TARGET_CHECK(read(group, buffer, sizeof(buffer)) > 0);
    TARGET_EQUAL(FAN_MODIFY, event->mask & FAN_MODIFY);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    make_folders();
    make_events();
    make_overrun();
    make_nameless();
    make_marks();
    target_ready();
    while (target_running(1000))
    {
    }

    check_events();
    check_overrun();
    check_nameless();
    check_marks();
    return target_end();
}
