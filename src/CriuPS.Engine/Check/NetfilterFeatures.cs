using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>Packet filters: nftables, in a network namespace that ends with the probe, and the tables of old iptables.</summary>
internal static class NetfilterFeatures
{
    private const int NETLINK_NETFILTER = 12, NFNL_SUBSYS_NFTABLES = 10, NFNL_MSG_BATCH_BEGIN = 0x10, NFNL_MSG_BATCH_END = 0x11;
    private const int NFPROTO_INET = 1, NFT_MSG_NEWTABLE = 0, NFT_MSG_NEWSET = 9, NFTA_TABLE_NAME = 1;
    private const int NFTA_SET_TABLE = 1, NFTA_SET_NAME = 2, NFTA_SET_FLAGS = 3, NFTA_SET_KEY_TYPE = 4, NFTA_SET_KEY_LEN = 5;
    private const int NFTA_SET_DESC = 9, NFTA_SET_ID = 10, NFTA_SET_DESC_CONCAT = 2, NFTA_LIST_ELEM = 1, NFTA_SET_FIELD_LEN = 1;
    private const int NFT_SET_CONCAT = 0x80;
    private const int AddressLength = 4, PortLength = 2, KeyLength = 8, AnyKeyType = 1, FirstSet = 1;
    private const int AF_INET = 2, SOCK_RAW = 3, IPPROTO_RAW = 255, IPPROTO_IP = 0, IPT_SO_GET_INFO = 64, InfoSize = 84;
    private const string TableName = "criups";

    private static readonly string[] s_programs = ["iptables-legacy-save", "iptables-save"];
    private static readonly string[] s_folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"];

    public static readonly Feature Tables = new("nftables", FeatureCategory.Named, ProbeTables)
    {
        NeededFor = "the rules of a network namespace", KnownToCriu = true,
        Since = "a kernel with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET",
        Privilege = "CAP_SYS_ADMIN and CAP_NET_ADMIN",
    };

    public static readonly Feature Lock = new("network_lock_nftables", FeatureCategory.Extra, ProbeLock)
    {
        NeededFor = "keeping packets away from TCP connections while they are saved", KnownToCriu = true,
        Since = "Linux 5.6 with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET", Privilege = "CAP_SYS_ADMIN and CAP_NET_ADMIN",
    };

    public static readonly Feature Legacy = new("has_ipt_legacy", FeatureCategory.Named, ProbeLegacy)
    {
        NeededFor = "the rules of iptables' old interface", KnownToCriu = true,
        Since = "a kernel with CONFIG_IP_NF_IPTABLES_LEGACY, and install the program iptables-legacy-save",
        Privilege = "CAP_SYS_ADMIN and CAP_NET_ADMIN",
    };

    private static Answer ProbeTables(ProbeBench bench)
    {
        NetlinkSocket socket = new(bench.In(NamespaceFeatures.CLONE_NEWNET), NETLINK_NETFILTER);
        return Answer.Of(
            "a table of nftables", socket.Ask(Batch(NFNL_MSG_BATCH_BEGIN), NewTable(TableName), Batch(NFNL_MSG_BATCH_END)).Error);
    }

    // The set of connections: an address and a port together as one key.
    private static Answer ProbeLock(ProbeBench bench)
    {
        NetlinkSocket socket = new(bench.In(NamespaceFeatures.CLONE_NEWNET), NETLINK_NETFILTER);
        const string Name = TableName + "-lock";
        NetlinkReply table = socket.Ask(Batch(NFNL_MSG_BATCH_BEGIN), NewTable(Name), NewSet(Name), Batch(NFNL_MSG_BATCH_END));
        return Answer.Of("a set of nftables with address and port as its key", table.Error < 0 ? table.Error : socket.Next().Error);
    }

    private static Answer ProbeLegacy(ProbeBench bench)
    {
        ProbeChild child = bench.In(NamespaceFeatures.CLONE_NEWNET);
        long socket = child.Must("socket(SOCK_RAW)", SyscallNumber.socket, AF_INET, SOCK_RAW, IPPROTO_RAW);
        byte[] info = new byte[InfoSize];
        "filter"u8.CopyTo(info);
        long result = child.Call(SyscallNumber.getsockopt, socket, IPPROTO_IP, IPT_SO_GET_INFO, child.Put(info), child.Put(InfoSize));
        if (Syscall.IsError(result))
        {
            return Answer.Of("getsockopt(IPT_SO_GET_INFO)", result);
        }

        return FindProgram() is { } program
            ? Answer.Yes($"getsockopt(IPT_SO_GET_INFO), {program}")
            : Answer.No("the kernel has the tables, but there is no program iptables-legacy-save") with { Remedy = "install iptables" };
    }

    // iptables-save may be a link to the program that speaks nftables.
    private static string? FindProgram() => s_folders.SelectMany(_ => s_programs, Path.Join).FirstOrDefault(
        path => File.Exists(path) && FinalName(path).Contains("legacy", StringComparison.Ordinal));

    private static string FinalName(string path) => new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.Name ?? path;

    private static NetlinkMessage Batch(int type) => new(type, NetlinkMessage.NLM_F_REQUEST, [0, 0, 0, NFNL_SUBSYS_NFTABLES]);

    private static NetlinkMessage NewTable(string name) => Request(NFT_MSG_NEWTABLE).Add(NFTA_TABLE_NAME, name);

    private static NetlinkMessage NewSet(string table) => Request(NFT_MSG_NEWSET)
        .Add(NFTA_SET_TABLE, table).Add(NFTA_SET_NAME, "connections").AddBigEndian(NFTA_SET_FLAGS, NFT_SET_CONCAT)
        .AddBigEndian(NFTA_SET_KEY_TYPE, AnyKeyType).AddBigEndian(NFTA_SET_KEY_LEN, KeyLength).AddBigEndian(NFTA_SET_ID, FirstSet)
        .Nest(NFTA_SET_DESC | NetlinkMessage.NLA_F_NESTED, [], description => description
            .Nest(NFTA_SET_DESC_CONCAT | NetlinkMessage.NLA_F_NESTED, [], fields => AddField(AddField(fields, AddressLength), PortLength)));

    private static NetlinkMessage AddField(NetlinkMessage message, int length) =>
        message.Nest(NFTA_LIST_ELEM | NetlinkMessage.NLA_F_NESTED, [], field => field.AddBigEndian(NFTA_SET_FIELD_LEN, length));

    private static NetlinkMessage Request(int type) => new(
        (NFNL_SUBSYS_NFTABLES << 8) | type, NetlinkMessage.Acknowledged | NetlinkMessage.NLM_F_CREATE, [NFPROTO_INET, 0, 0, 0]);
}
