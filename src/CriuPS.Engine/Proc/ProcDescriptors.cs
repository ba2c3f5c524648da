namespace CriuPS.Engine.Proc;

/// <summary>/proc/PID/fd: the open descriptors of a process (proc_pid_fd(5)).</summary>
public static class ProcDescriptors
{
    /// <summary>The numbers of the open descriptors, ascending.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<int> List(ProcDirectory directory) => directory.ListNumbers("fd");

    /// <summary>
    /// What a descriptor leads to: a path, with the suffix <c> (deleted)</c> if it is removed, or <c>socket:[INODE]</c>,
    /// <c>pipe:[INODE]</c>, <c>anon_inode:[eventfd]</c>, <c>net:[INODE]</c> and the like. Nothing in it is escaped.
    /// </summary>
    /// <param name="directory">The process.</param>
    /// <param name="fd">The descriptor's number; <c>ProcFileMissing</c> if it is not open.</param>
    /// <inheritdoc cref="ProcDirectory.ReadLinkText"/>
    public static OsText ReadLink(ProcDirectory directory, int fd) => directory.ReadLinkText($"fd/{fd}");
}
