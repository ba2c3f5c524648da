/*
 * Kernel object: session keyrings. A family in which some have their own, with a key and a link to the user's keyring in it, one a
 * keyring of another user, one a revoked one, and some that of their user; who shared one shares it, by birth or by its name.
 * With SECRET in the environment there is a key that nobody can read.
 */
#include "target.h"
#include <linux/keyctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define OTHER_USER 21000
#define LARGE 3000
#define RING KEY_SPEC_SESSION_KEYRING

enum member { ROOT, HEIR, NAMED, BELOW, GUEST, OTHER, REVOKED, PLAIN, PLAIN_OTHER, MEMBERS };

struct view
{
    char ring[200], key[200];
    unsigned char payload[LARGE];
    long size, links;
};

static struct { atomic_int ready, round, seen[MEMBERS], pid[MEMBERS]; atomic_long serial[MEMBERS]; } *all;
static char name[64];

static long keyctl(int what, long a, long b, long c)
{
    return syscall(SYS_keyctl, what, a, b, c, 0L);
}

static void look(struct view *is)
{
    int32_t content[16];
    memset(is, 0, sizeof(*is));
    TARGET_CHECK(keyctl(KEYCTL_DESCRIBE, RING, (long)is->ring, sizeof(is->ring)) > 0);
    is->links = keyctl(KEYCTL_READ, RING, (long)content, sizeof(content));
    TARGET_CHECK(is->links >= 0);
    for (size_t i = 0; i < (size_t)is->links / sizeof(content[0]); i++)
    {
        char text[200] = "";
        TARGET_CHECK(keyctl(KEYCTL_DESCRIBE, content[i], (long)text, sizeof(text)) > 0);
        if (strncmp(text, "user;", 5) == 0)
        {
            strcpy(is->key, text);
            is->size = keyctl(KEYCTL_READ, content[i], (long)is->payload, sizeof(is->payload));
            TARGET_CHECK(is->size > 0);
        }
    }
}

static void fill(int size)
{
    unsigned char payload[LARGE];
    for (int i = 0; i < size; i++)
    {
        payload[i] = (unsigned char)(i * 7 + getpid());
    }

    long key = syscall(SYS_add_key, "user", "a;key of mine", payload, (long)size, (long)RING);
    TARGET_CHECK(key > 0);
    TARGET_EQUAL(0, keyctl(KEYCTL_LINK, KEY_SPEC_USER_KEYRING, RING, 0));
    TARGET_EQUAL(0, keyctl(KEYCTL_SETPERM, key, 0x0b0b0000, 0));
}

/* What only a member's nature tells, at the end: asking makes a keyring the process's own. */
static void check_plain(enum member who)
{
    char text[200] = "", wanted[32];
    snprintf(wanted, sizeof(wanted), ";_uid_ses.%d", who == PLAIN ? 0 : OTHER_USER);
    TARGET_CHECK(keyctl(KEYCTL_DESCRIBE, RING, (long)text, sizeof(text)) > 0);
    if (strstr(text, wanted) == NULL)
    {
        target_fail("member %d has %s", who, text);
    }
}

static void become(enum member who)
{
    switch (who)
    {
    case NAMED:
        TARGET_CHECK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name, 0, 0) > 0);
        fill(LARGE);
        TARGET_EQUAL(0, keyctl(KEYCTL_SETPERM, RING, 0x3f3f0000, 0));
        break;
    case BELOW:
        TARGET_CHECK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0) > 0);
        break;
    case GUEST:
        TARGET_CHECK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name, 0, 0) > 0);
        break;
    case OTHER:
        TARGET_EQUAL(0, setresgid(OTHER_USER, OTHER_USER, OTHER_USER));
        TARGET_EQUAL(0, setresuid(OTHER_USER, OTHER_USER, OTHER_USER));
        TARGET_CHECK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0) > 0);
        fill(100);
        break;
    case PLAIN_OTHER:
        TARGET_EQUAL(0, setresuid(OTHER_USER, OTHER_USER, OTHER_USER));
        break;
    case REVOKED:
        TARGET_CHECK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0) > 0);
        TARGET_EQUAL(0, keyctl(KEYCTL_REVOKE, RING, 0, 0));
        break;
    default:
        break;
    }
}

static void live(enum member who)
{
    static struct view before, now;
    bool is_plain = who == PLAIN || who == PLAIN_OTHER;
    if (!is_plain && who != REVOKED)
    {
        look(&before);
    }

    /* Nobody is left when the test ends the root. */
    TARGET_EQUAL(0, who == ROOT ? 0 : prctl(PR_SET_PDEATHSIG, SIGKILL));
    atomic_fetch_add(&all->ready, 1);
    for (int round = 0;; usleep(10000))
    {
        bool last = round != atomic_load(&all->round);
        round = atomic_load(&all->round);
        if (who == REVOKED)
        {
            TARGET_CHECK(keyctl(KEYCTL_GET_KEYRING_ID, RING, 0, 0) < 0 && errno == EKEYREVOKED);
        }
        else if (!is_plain)
        {
            look(&now);
            if (memcmp(&before, &now, sizeof(now)) != 0)
            {
                target_fail("member %d has %s with %s, %ld bytes, %ld, not %s with %s, %ld bytes, %ld", who, now.ring, now.key, now.size, now.links,
                            before.ring, before.key, before.size, before.links);
            }
        }
        else if (last)
        {
            check_plain(who);
        }

        if (last)
        {
            all->serial[who] = who == REVOKED ? 0 : keyctl(KEYCTL_GET_KEYRING_ID, RING, 0, 0);
            all->seen[who] = round;
            if (who == ROOT)
            {
                return;
            }
        }
        else if (who == ROOT && target_stopped)
        {
            all->round = 1;
        }
    }
}

static void bear(enum member who)
{
    int before = all->ready;
    pid_t child = fork();
    TARGET_CHECK(child >= 0);
    if (child == 0)
    {
        all->pid[who] = getpid();
        become(who);
        if (who == NAMED)
        {
            bear(BELOW);
        }

        live(who);
    }

    while (atomic_load(&all->ready) == before)
    {
        usleep(1000);
    }
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TARGET_CHECK(all != MAP_FAILED);
    snprintf(name, sizeof(name), "criups keyring %d", getpid());
    bear(PLAIN);
    bear(PLAIN_OTHER);
    TARGET_CHECK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0) > 0);
    fill(16);
    if (getenv("SECRET") != NULL)
    {
        TARGET_CHECK(syscall(SYS_add_key, "logon", "criups:secret", "secret", 6L, (long)RING) > 0);
    }

    bear(HEIR);
    bear(NAMED);
    bear(GUEST);
    bear(OTHER);
    bear(REVOKED);
    target_ready();
    live(ROOT);
    for (int who = 0; who < MEMBERS; who++)
    {
        while (all->seen[who] == 0)
        {
            usleep(1000);
        }
    }

    TARGET_EQUAL(all->serial[ROOT], all->serial[HEIR]);
    TARGET_EQUAL(all->serial[NAMED], all->serial[GUEST]);
    TARGET_CHECK(all->serial[BELOW] != all->serial[NAMED] && all->serial[BELOW] != all->serial[ROOT] && all->serial[NAMED] != all->serial[ROOT]);
    for (int who = 1; who < MEMBERS; who++)
    {
        kill(all->pid[who], SIGKILL);
    }

    return target_end();
}
