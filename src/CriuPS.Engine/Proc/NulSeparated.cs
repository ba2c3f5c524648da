namespace CriuPS.Engine.Proc;

/// <summary>/proc/PID/cmdline and /proc/PID/environ: texts ended by zero bytes (proc_pid_cmdline(5), proc_pid_environ(5)).</summary>
public static class NulSeparated
{
    /// <summary>Reads the arguments; empty for kernel threads and zombies. A process may overwrite them with anything.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<OsText> ReadCommandLine(ProcDirectory directory) => directory.Parse("cmdline", Parse);

    /// <summary>Reads the environment that the process was started with; needs leave to trace it.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<OsText> ReadEnvironment(ProcDirectory directory) => directory.Parse("environ", Parse);

    /// <summary>Splits at zero bytes; the last text may lack its own.</summary>
    public static List<OsText> Parse(ReadOnlySpan<byte> bytes, ProcSource source = default)
    {
        var texts = new List<OsText>();
        while (!bytes.IsEmpty)
        {
            int end = bytes.IndexOf((byte)0);
            texts.Add(new OsText(end < 0 ? bytes : bytes[..end]));
            bytes = end < 0 ? default : bytes[(end + 1)..];
        }

        return texts;
    }
}
