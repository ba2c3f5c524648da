using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Dump;

/// <summary>
/// Whether the cgroups of a tree can be left alone although somebody asks to manage them: its processes are where this program is, and so will be what is
/// restored from there.
/// </summary>
internal static class CgroupInspection
{
    /// <summary>Why they cannot be left alone; null where they can.</summary>
    public static string? Objection(ProcDirectory process)
    {
        using ProcDirectory self = new(Environment.ProcessId);
        HashSet<(OsText, OsText)> own = [.. CgroupMembership.Read(self).Select(m => (m.Controllers, m.Path))];
        foreach (CgroupMembership membership in CgroupMembership.Read(process))
        {
            if (!own.Contains((membership.Controllers, membership.Path)))
            {
                string hierarchy = membership.IsUnified ? "" : $" of {membership.Controllers.ToDisplayString()}";
                return $"it is in cgroup {membership.Path.ToDisplayString()}{hierarchy}, and this program is not";
            }
        }

        return null;
    }
}
