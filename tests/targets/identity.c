/*
 * Kernel object: who a process is. struct cred (four user and four group ids, all different, supplementary groups, five
 * capability sets, securebits, no_new_privs), one thread with credentials of its own, names, umask, working directory and root,
 * personality, dumpable, parent death signal, subreaper, oom_score_adj. Without privileges it keeps to what it may do.
 */
#include "target.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/personality.h>
#include <sys/prctl.h>

enum { strange = ADDR_NO_RANDOMIZE | STICKY_TIMEOUTS, groups = 300 };

struct identity
{
    uid_t uid[4];
    gid_t gid[4];
    int group_count;
    gid_t group[groups];
    struct __user_cap_data_struct capabilities[2];
    uint64_t ambient, bounding;
    int securebits, no_new_privs, dumpable, death_signal, subreaper;
    char name[16];
    int persona;
    mode_t mask;
    dev_t root_device;
    ino_t root_inode, folder_inode;
    char folder[PATH_MAX];
};

static bool privileged;
static struct identity main_identity, thread_identity;
static _Atomic bool thread_is_ready;

static uint64_t set_of(int (*holds)(int))
{
    uint64_t set = 0;
    for (int capability = 0; capability < 64; capability++)
    {
        set |= holds(capability) == 1 ? 1ULL << capability : 0;
    }
    return set;
}

static int is_ambient(int capability)
{
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0);
}

static int is_bounding(int capability)
{
    return prctl(PR_CAPBSET_READ, capability);
}

static void get_capabilities(struct __user_cap_data_struct *data)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    TARGET_CHECK(syscall(SYS_capget, &header, data) == 0);
}

static void set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    for (int i = 0; i < 2; i++)
    {
        data[i].effective = (uint32_t)(effective >> 32 * i);
        data[i].permitted = (uint32_t)(permitted >> 32 * i);
        data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
    }
    TARGET_CHECK(syscall(SYS_capset, &header, data) == 0);
}

/* The umask is known only by setting it; setting it to what it is harms nobody. */
static void look(struct identity *is)
{
    struct stat root, folder;
    memset(is, 0, sizeof(*is));
    TARGET_CHECK(getresuid(&is->uid[0], &is->uid[1], &is->uid[2]) == 0 && getresgid(&is->gid[0], &is->gid[1], &is->gid[2]) == 0);
    is->uid[3] = (uid_t)syscall(SYS_setfsuid, -1);
    is->gid[3] = (gid_t)syscall(SYS_setfsgid, -1);
    is->group_count = getgroups(groups, is->group);
    get_capabilities(is->capabilities);
    is->ambient = set_of(is_ambient);
    is->bounding = set_of(is_bounding);
    is->securebits = prctl(PR_GET_SECUREBITS);
    is->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    is->dumpable = prctl(PR_GET_DUMPABLE);
    TARGET_CHECK(prctl(PR_GET_PDEATHSIG, &is->death_signal) == 0 && prctl(PR_GET_CHILD_SUBREAPER, &is->subreaper) == 0);
    TARGET_CHECK(prctl(PR_GET_NAME, is->name) == 0);
    is->persona = personality(0xffffffff);
    is->mask = 0;
    TARGET_CHECK(stat("/", &root) == 0 && stat(".", &folder) == 0 && getcwd(is->folder, sizeof(is->folder)) != NULL);
    is->root_device = root.st_dev;
    is->root_inode = root.st_ino;
    is->folder_inode = folder.st_ino;
}

static void compare(const struct identity *expected, const char *who)
{
    struct identity now;
    look(&now);
    for (size_t i = 0; i < sizeof(now); i++)
    {
        if (((const uint8_t *)&now)[i] != ((const uint8_t *)expected)[i])
        {
            target_fail("%s: byte %zu of its identity is %#x, expected %#x (uid %d %d %d %d, securebits %#x, dumpable %d, folder %s)",
                        who, i, ((const uint8_t *)&now)[i], ((const uint8_t *)expected)[i], now.uid[0], now.uid[1], now.uid[2],
                        now.uid[3], now.securebits, now.dumpable, now.folder);
        }
    }
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    TARGET_CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* The raw calls change one thread only. */
static void become(uid_t base, uint64_t keep)
{
    const uint64_t few = 1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_CHOWN | 1ULL << CAP_KILL;
    gid_t list[groups - 1];
    for (int i = 0; i < groups - 1; i++)
    {
        list[i] = base + 7 * (gid_t)i;
    }
    TARGET_CHECK(syscall(SYS_setgroups, groups - 1, list) == 0);
    TARGET_CHECK(prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE) == 0 && prctl(PR_CAPBSET_DROP, CAP_SYS_TIME) == 0);
    TARGET_CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED) == 0);
    TARGET_CHECK(syscall(SYS_setresgid, base + 1, base + 2, base + 3) == 0);
    TARGET_CHECK(syscall(SYS_setresuid, base + 4, base + 5, base + 6) == 0);
    syscall(SYS_setfsgid, base + 7);
    syscall(SYS_setfsuid, base + 8);
    set_capabilities(few | keep, few | keep | 1ULL << CAP_SYS_NICE, few | 1ULL << CAP_SYSLOG);
    TARGET_CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) == 0);
    TARGET_CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == 0);
}

static void *thread(void *argument)
{
    if (privileged)
    {
        become(3000, 1ULL << CAP_DAC_OVERRIDE);
    }
    prctl(PR_SET_NAME, "t) R 1 (");
    prctl(PR_SET_PDEATHSIG, SIGUSR2);
    look(&thread_identity);
    thread_is_ready = true;
    while (!target_stopped)
    {
        usleep(20000);
        /* What follows is the process's, and the main thread may have changed it after we looked. */
        thread_identity.dumpable = main_identity.dumpable;
        compare(&thread_identity, "the thread");
    }
    return argument;
}

static void settle(void)
{
    const char *folder = target_file("a directory\n of mine");
    TARGET_CHECK(mkdir(folder, 0755) == 0 && chdir(folder) == 0);
    umask(0157);
    TARGET_CHECK(personality(strange) >= 0);
    write_file("/proc/self/oom_score_adj", "321");
    TARGET_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    TARGET_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    TARGET_CHECK(prctl(PR_SET_NAME, "m\n\\(x) S 2 \xff") == 0);
    if (privileged)
    {
        TARGET_CHECK(chroot("..") == 0);
        signal(SIGUSR1, SIG_IGN);
    }
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    privileged = geteuid() == 0;
    settle();
    /* The thread is born with this personality, directory and root. */
    pthread_t other = target_thread(thread, NULL);
    while (!thread_is_ready)
    {
        usleep(1000);
    }
    if (privileged)
    {
        become(2000, 0);
    }
    TARGET_CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && prctl(PR_SET_DUMPABLE, privileged ? 1 : 0) == 0);
    look(&main_identity);
    target_ready();
    while (target_running(50))
    {
        compare(&main_identity, "the main thread");
    }

    compare(&main_identity, "the main thread");
    TARGET_EQUAL(0157, umask(0));
    pthread_join(other, NULL);
    return target_end();
}
