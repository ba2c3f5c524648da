/*
 * Pseudoterminals: one that is the terminal of the program's session, with /dev/tty open and a group in the foreground, one that is nobody's, and output that
 * has not been read; settings and sizes of each.
 */
#include "target.h"
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

static int master, slave, session, lone, lone_slave;
static struct termios settings, raw;
static struct winsize size = {33, 77, 5, 6};
static pid_t child;

static int open_master(void)
{
    int fd = target_master(O_NONBLOCK, 100 + getpid() % 156);
    TARGET_CHECK(fd >= 0);
    return fd;
}

static int open_slave(int of, int flags)
{
    int index;
    char name[32];
    TARGET_EQUAL(0, ioctl(of, TIOCGPTN, &index));
    snprintf(name, sizeof(name), "/dev/pts/%d", index);
    int fd = open(name, flags);
    TARGET_CHECK(fd >= 0);
    return fd;
}

static void expect(int fd, const char *text)
{
    char buffer[64] = {0};
    TARGET_EQUAL(strlen(text), read(fd, buffer, sizeof(buffer) - 1));
    TARGET_EQUAL(0, strcmp(buffer, text));
}

static void put(int fd, const char *text)
{
    TARGET_EQUAL(strlen(text), write(fd, text, strlen(text)));
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    TARGET_EQUAL(getpid(), getsid(0));
    lone = open_master();
    master = open_master();
    slave = open_slave(master, O_RDWR);
    session = open("/dev/tty", O_RDWR | O_CLOEXEC);
    TARGET_CHECK(session >= 0);
    lone_slave = open_slave(lone, O_RDWR | O_NOCTTY);

    TARGET_EQUAL(0, tcgetattr(slave, &settings));
    settings.c_cc[VINTR] = 7;
    settings.c_lflag &= ~(tcflag_t)ECHO;
    TARGET_EQUAL(0, tcsetattr(slave, TCSANOW, &settings));
    TARGET_EQUAL(0, tcgetattr(lone_slave, &raw));
    cfmakeraw(&raw);
    TARGET_EQUAL(0, tcsetattr(lone_slave, TCSANOW, &raw));
    TARGET_EQUAL(0, ioctl(slave, TIOCSWINSZ, &size));
    child = fork();
    if (child == 0)
    {
        setpgid(0, 0);
        for (;;)
        {
            pause();
        }
    }

    setpgid(child, child);
    TARGET_EQUAL(0, tcsetpgrp(slave, child));
    put(slave, "unread\n");
    put(master, "first\nsecond\nthi");
    target_ready();
    while (target_running(100))
    {
    }

    struct termios now;
    struct winsize window;
    TARGET_EQUAL(0, tcgetattr(slave, &now));
    TARGET_EQUAL(0, memcmp(&now, &settings, sizeof(now)));
    TARGET_EQUAL(0, tcgetattr(lone_slave, &now));
    TARGET_EQUAL(0, memcmp(&now, &raw, sizeof(now)));
    TARGET_EQUAL(0, ioctl(master, TIOCGWINSZ, &window));
    TARGET_EQUAL(0, memcmp(&window, &size, sizeof(size)));
    TARGET_EQUAL(getpid(), tcgetsid(slave));
    TARGET_EQUAL(child, tcgetpgrp(slave));
    expect(master, "unread\r\n");
    put(session, "a");
    expect(master, "a");
    put(master, "rd\n");
    TARGET_EQUAL(0, tcsetpgrp(slave, getpgrp()));
    expect(session, "first\n");
    expect(slave, "second\n");
    expect(session, "third\n");
    put(lone, "b");
    expect(lone_slave, "b");
    put(lone_slave, "c\n");
    expect(lone, "c\n");
    kill(child, SIGKILL);
    TARGET_EQUAL(child, waitpid(child, NULL, 0));
    return target_end();
}
