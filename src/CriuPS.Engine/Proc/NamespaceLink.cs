using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Proc;

/// <summary>A link of /proc/PID/ns (namespaces(7)).</summary>
/// <param name="Name">The link's name: <c>net</c>, <c>pid_for_children</c>, …</param>
/// <param name="Type">The kind of namespace: <c>net</c>, <c>pid</c>, …</param>
/// <param name="Inode">
/// Tells namespaces apart; null where the process has set its children's pid namespace and has no child in it yet.
/// </param>
public readonly record struct NamespaceLink(string Name, string Type, ulong? Inode)
{
    /// <summary>Reads the links that this kernel has.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<NamespaceLink> Read(ProcDirectory directory)
    {
        var links = new List<NamespaceLink>();
        foreach (OsText name in directory.ListNames("ns"))
        {
            links.Add(Read(directory, name.ToString()));
        }

        return links;
    }

    /// <summary>Reads one link.</summary>
    /// <param name="directory">The process.</param>
    /// <param name="name">The link's name.</param>
    /// <inheritdoc cref="ProcDirectory.ReadLinkText"/>
    public static NamespaceLink Read(ProcDirectory directory, string name)
    {
        string file = $"ns/{name}";
        if (directory.TryReadLinkText(file, out int errno) is { } text)
        {
            return Parse(name, text.Bytes, new ProcSource($"{directory.Path}/{file}", directory.Pid));
        }

        // kernel/pid_namespace.c, pidns_for_children_get: no namespace is given out before its first process lives.
        bool unborn = errno == Errno.ENOENT && name == "pid_for_children";
        return unborn ? new NamespaceLink(name, "pid", null) : throw directory.Failure("readlinkat", file, errno);
    }

    /// <summary>Parses the text of a link, e.g. <c>net:[4026531833]</c>.</summary>
    /// <exception cref="CriuException"><c>MalformedProc</c>.</exception>
    public static NamespaceLink Parse(string name, ReadOnlySpan<byte> text, ProcSource source = default)
    {
        const string Expected = "'TYPE:[INODE]'";
        var cursor = new ProcCursor(text, source);
        string type = System.Text.Encoding.Latin1.GetString(cursor.Until((byte)':', Expected));
        cursor.Expect("["u8, Expected);
        ulong inode = cursor.Decimal(Expected);
        cursor.Expect("]"u8, Expected);
        cursor.End(Expected);
        return new NamespaceLink(name, type, inode);
    }
}
