using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Dump;

/// <summary>The namespaces of the process that dumps (namespaces(7)), read once: each of a tree's processes is held against them.</summary>
internal sealed class OwnNamespaces
{
    private static readonly string[] s_names =
        ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "user", "uts"];

    public OwnNamespaces()
    {
        using ProcDirectory self = new(Environment.ProcessId);
        foreach (string name in s_names)
        {
            // A kernel without a kind of namespaces has no such link.
            if (self.TryReadLinkText($"ns/{name}", out _) is { } link)
            {
                Links.Add(($"ns/{name}", link));
            }
        }

        Time = self.TryReadLinkText("ns/time", out _);
    }

    /// <summary>That of time, which a tree may have for itself; null where the kernel has none.</summary>
    public OsText? Time { get; }

    /// <summary>The links of all others in /proc/PID, with what they say for this process.</summary>
    public List<(string Name, OsText Link)> Links { get; } = [];
}
