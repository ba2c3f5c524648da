using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Proc;

/// <summary>/proc/keys and /proc/key-users (proc_keys(5)): the keys that the reader may see, and how many everybody has.</summary>
internal static class ProcKeys
{
    private const string Keys = "keys", Users = "key-users";

    /// <summary>
    /// Whether there may be keyrings beyond those that every user has. All counted keys of root, and nobody else's, are then seen to be others.
    /// </summary>
    /// <exception cref="KernelException">They cannot be read.</exception>
    public static bool MayHaveSessions()
    {
        if (!FileStatus.TryOf($"/proc/{Users}", out _, out int errno))
        {
            return errno != Errno.ENOENT;
        }

        return ProcRoot.Parse(Users, CountUsers) is var (roots, others) && (others > 0 || roots != ProcRoot.Parse(Keys, CountKnown));
    }

    /// <summary>How many keys root and all others have, as far as they count: of "    0:     9 8/8 3/1000000 48/25000000" the 3.</summary>
    public static (ulong Roots, ulong Others) CountUsers(ReadOnlySpan<byte> text, ProcSource source)
    {
        ulong roots = 0, others = 0;
        for (ProcCursor lines = new(text, source); !lines.AtEnd;)
        {
            ProcCursor line = lines.Line();
            line.SkipBlanks();
            bool isRoot = line.SmallDecimal("a user") == 0;
            line.Expect(":"u8, "a colon");
            line.Word("a number");
            line.Word("numbers of keys");
            line.SkipBlanks();
            ulong counted = line.Decimal("a number of keys");
            roots += isRoot ? counted : 0;
            others += isRoot ? 0 : counted;
        }

        return (roots, others);
    }

    /// <summary>How many keys count and are not session keyrings: "2c358de8 I--Q---     1 perm 0c030000     0 65534 keyring   .user_reg: 4", where Q stands for one that counts.</summary>
    public static ulong CountKnown(ReadOnlySpan<byte> text, ProcSource source)
    {
        ulong known = 0;
        for (ProcCursor lines = new(text, source); !lines.AtEnd;)
        {
            ProcCursor line = lines.Line();
            line.Word("a number");
            line.SkipBlanks();
            bool counts = line.Word("flags").Contains((byte)'Q');
            foreach (string what in s_between)
            {
                line.Word(what);
            }

            line.SkipBlanks();
            bool isKeyring = line.TryTake("keyring "u8);
            line.SkipBlanks();
            known += counts && (!isKeyring || line.Rest.StartsWith("_uid."u8) || line.Rest.StartsWith("_uid_ses."u8) || line.Rest.StartsWith("."u8)) ? 1u : 0;
        }

        return known;
    }

    private static readonly string[] s_between = ["uses", "a time", "permissions", "a user", "a group"];
}
