/*
 * Files of /dev/net/tun: attached to nothing, to a tun device, twice to one device of several queues (and once detached from it), and to a persistent tap device.
 * Packets that come by a device after the restore are read from its file. It needs a network namespace of its own, because it makes devices by fixed names.
 */
#include "target.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { TUN_OWNER = 1234, TAP_GROUP = 77, SEND_BUFFER = 54321, HEADER = 12 };

static const uint8_t tap_address[6] = {2, 0, 0, 'c', 'r', 1};

static int alone, tun, tun_copy, tap, queues[3];
static unsigned tun_index, tap_index, queues_index;

static int attach(const char *name, short flags, int open_flags)
{
    int fd = open("/dev/net/tun", O_RDWR | open_flags);
    struct ifreq request = {.ifr_flags = flags};
    strcpy(request.ifr_name, name);
    TARGET_CHECK(fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0);
    return fd;
}

static void set(const char *name, unsigned long what, struct ifreq *request)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    strcpy(request->ifr_name, name);
    TARGET_CHECK(fd >= 0 && ioctl(fd, what, request) == 0);
    close(fd);
}

static void make(void)
{
    alone = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    tun = attach("crtun", IFF_TUN | IFF_NO_PI, O_NONBLOCK);
    tun_copy = dup(tun);
    int bytes = SEND_BUFFER;
    TARGET_CHECK(ioctl(tun, TUNSETSNDBUF, &bytes) == 0 && ioctl(tun, TUNSETOWNER, TUN_OWNER) == 0);
    set("crtun", SIOCSIFMTU, &(struct ifreq){.ifr_mtu = 1234});
    set("crtun", SIOCSIFFLAGS, &(struct ifreq){.ifr_flags = IFF_UP});

    tap = attach("crtap", IFF_TAP | IFF_VNET_HDR, O_NONBLOCK);
    bytes = HEADER;
    TARGET_CHECK(ioctl(tap, TUNSETVNETHDRSZ, &bytes) == 0 && ioctl(tap, TUNSETGROUP, TAP_GROUP) == 0 && ioctl(tap, TUNSETPERSIST, 1) == 0);
    struct ifreq address = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
    memcpy(address.ifr_hwaddr.sa_data, tap_address, sizeof(tap_address));
    set("crtap", SIOCSIFHWADDR, &address);

    if (getenv("FILTER") != NULL)
    {
        static struct sock_filter all[] = {{.code = BPF_RET | BPF_K, .k = UINT32_MAX}};
        struct sock_fprog filter = {.len = TARGET_COUNT(all), .filter = all};
        TARGET_CHECK(ioctl(tap, TUNATTACHFILTER, &filter) == 0);
    }

    for (int i = 0; i < 3; i++)
    {
        queues[i] = attach("crqueues", IFF_TUN | IFF_MULTI_QUEUE, O_NONBLOCK);
    }

    struct ifreq detach = {.ifr_flags = IFF_DETACH_QUEUE};
    TARGET_CHECK(ioctl(queues[1], TUNSETQUEUE, &detach) == 0);
    tun_index = if_nametoindex("crtun");
    tap_index = if_nametoindex("crtap");
    queues_index = if_nametoindex("crqueues");
}

static short flags_of(int fd, const char *name)
{
    struct ifreq request = {0};
    TARGET_CHECK(ioctl(fd, TUNGETIFF, &request) == 0);
    if (strcmp(request.ifr_name, name) != 0)
    {
        target_fail("attached to '%s', not to '%s'", request.ifr_name, name);
    }

    return request.ifr_flags;
}

static void check(void)
{
    int bytes;
    struct ifreq request = {0};
    TARGET_EQUAL(-1, ioctl(alone, TUNGETIFF, &request));
    TARGET_EQUAL(EBADFD, errno);
    TARGET_EQUAL(FD_CLOEXEC, fcntl(alone, F_GETFD));
    TARGET_CHECK((fcntl(tun, F_GETFL) & O_NONBLOCK) != 0);

    TARGET_EQUAL(IFF_TUN | IFF_NO_PI, flags_of(tun, "crtun"));
    TARGET_EQUAL(0, syscall(SYS_kcmp, getpid(), getpid(), 0, tun, tun_copy));
    TARGET_EQUAL(0, ioctl(tun, TUNGETSNDBUF, &bytes));
    TARGET_EQUAL(SEND_BUFFER, bytes);
    TARGET_EQUAL(tun_index, if_nametoindex("crtun"));

    /* IFF_NO_PI means here that there is no filter. */
    TARGET_EQUAL(IFF_TAP | IFF_VNET_HDR | IFF_PERSIST, flags_of(tap, "crtap") & ~IFF_NO_PI);
    TARGET_EQUAL(0, ioctl(tap, TUNGETVNETHDRSZ, &bytes));
    TARGET_EQUAL(HEADER, bytes);
    TARGET_EQUAL(tap_index, if_nametoindex("crtap"));

    TARGET_EQUAL(queues_index, if_nametoindex("crqueues"));
    for (int i = 0; i < 3; i++)
    {
        TARGET_EQUAL(i == 1 ? IFF_DETACH_QUEUE : 0, flags_of(queues[i], "crqueues") & IFF_DETACH_QUEUE);
        TARGET_EQUAL(IFF_MULTI_QUEUE, flags_of(queues[i], "crqueues") & IFF_MULTI_QUEUE);
    }
}

/* A packet that is sent by the device comes out of its file; others may come before it. */
static void check_way(void)
{
    uint8_t sent[28] = {0x45, 0, 0, sizeof(sent), 0, 0, 0, 0, 1, 253, 0, 0, 10, 9, 8, 7, 10, 9, 8, 6, 'c', 'r', 'i', 'u', 'p', 's'}, read_bytes[2048];
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0800), .sll_ifindex = (int)tun_index};
    int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
    TARGET_CHECK(fd >= 0);
    TARGET_EQUAL(sizeof(sent), sendto(fd, sent, sizeof(sent), 0, (struct sockaddr *)&to, sizeof(to)));
    ssize_t length;
    do
    {
        struct pollfd wait = {.fd = tun_copy, .events = POLLIN};
        TARGET_EQUAL(1, poll(&wait, 1, 10000));
        length = read(tun, read_bytes, sizeof(read_bytes));
    } while (length != (ssize_t)sizeof(sent) || memcmp(sent, read_bytes, sizeof(sent)) != 0);

    TARGET_EQUAL(sizeof(sent), write(tun, sent, sizeof(sent)));
    close(fd);
}

int main(int count, char **arguments)
{
    target_begin(count, arguments);
    make();
    check();
    target_ready();
    while (target_running(20))
    {
        check();
    }

    check();
    check_way();
    TARGET_CHECK(ioctl(tap, TUNSETPERSIST, 0) == 0);
    return target_end();
}
