using System.Globalization;
using static CriuPS.Engine.Options.OptionValues;

namespace CriuPS.Engine.Options;

/// <content>What an operation does, and what is written about it.</content>
public static partial class OptionTable
{
    private static OptionDefinition[] General() =>
    [
        Value("tree", "PID", "the root of the tree that is dumped",
            (o, v) => Number("tree", v, 1) is var pid && o is DumpOptions d ? d with { Pid = pid } : o, 't'),
        Value("images-dir", "DIR", "where the image files are (default: here)", (o, v) => o with { ImagesDirectory = v }, 'D'),
        Value("work-dir", "DIR", "where logs, pid files and statistics go (default: the images directory)",
            (o, v) => o with { WorkDirectory = v }, 'W'),
        Flag("leave-running", "the tree runs on after the dump", o => o is DumpOptions d ? d with { FinalState = FinalState.Run } : o, 'R'),
        Flag("leave-stopped", "the tree is left stopped", LeaveStopped, 's'),
        Switch("restore-detached", "the restored tree is not waited for", Detach, 'd'),
        Switch("restore-sibling", "the restored root becomes a child of this program's parent",
            (o, on) => o is RestoreOptions r ? r with { Sibling = on } : o, 'S'),
        Switch("shell-job", "the tree may belong to another session and its terminal", (o, on) => o with { ShellJob = on }, 'j'),
        Value("timeout", "SECONDS", "how long the freezing of the tree may take (default: 10)",
            (o, v) => o with { Timeout = TimeSpan.FromSeconds(Number("timeout", v, 0)) }),
        Value("action-script", "FILE", "a program that is run at the stages of the operation",
            (o, v) => o with { ActionScripts = [.. o.ActionScripts, v] }),
        Flag("exec-cmd", "after the restore, become the program that follows '--'", o => o with { ExecuteCommand = true }),
        OptionalValue("cpu-cap", "LIST", "what of the processor is saved and compared: cpu, fpu, ins, all, none; ^ takes away",
            (o, v) => o with { CpuCapabilities = Capabilities("cpu-cap", v, o.CpuCapabilities) }),
        Switch("unprivileged", "accept the limitations of a user who is not root", (o, on) => o with { Unprivileged = on }),
        Value("libdir", "DIR", "where plugins are", (o, v) => o with { PluginDirectory = v }, 'L'),
        Switch("stream", "images go through criu-image-streamer", (o, on) => o with { Stream = on }),
        Value("close", "FD", "close this descriptor first of all",
            (o, v) => o with { ClosedDescriptors = [.. o.ClosedDescriptors, Number("close", v, 0)] }),
        Switch("deprecated", "allow what is no longer recommended", (o, on) => o with { Deprecated = on }),
    ];

    private static OptionDefinition[] Logs() =>
    [
        Value("log-file", "FILE", "the log; - is the standard output (default: the standard error)", (o, v) => o with { LogFile = v }, 'o'),
        OptionalValue("verbosity", "LEVEL", "1 errors, 2 warnings (default), 3 stages and times, 4 everything; each v is one more",
            (o, v) => o with { LogLevel = Verbosity(o.LogLevel, v) }, 'v'),
        Switch("log-pid", "one log for each process", (o, on) => o with { LogPerProcess = on }),
        Switch("display-stats", "show statistics at the end", (o, on) => o with { DisplayStatistics = on }),
    ];

    private static OptionDefinition[] Servers() =>
    [
        Value("pidfile", "FILE", "where the pid of the restored root, or of a server, is written", (o, v) => o with { PidFile = v }),
        Switch("daemon", "a server goes into the background", Detach),
        Value("status-fd", "FD", "a server that is ready writes a zero byte there",
            (o, v) => o with { StatusDescriptor = Number("status-fd", v, 0) }),
        Value("address", "ADDRESS", "the address of a server, or the path of the service's socket", (o, v) => o with { Address = v }),
        Value("port", "PORT", "the port of a server", (o, v) => o with { Port = Number("port", v, 1, ushort.MaxValue) }),
    ];

    private static OptionDefinition[] Checks() =>
    [
        Value("feature", "NAME", "check this feature alone; list shows all names", (o, v) => o with { Features = [.. o.Features, v] }),
        Switch("extra", "check what only some dumps need too", (o, on) => o with { CheckExtra = on }),
        Switch("experimental", "check what is not settled too", (o, on) => o with { CheckExperimental = on }),
        Flag("all", "check everything", o => o with { CheckExtra = true, CheckExperimental = true }),
    ];

    private static CriuOptions LeaveStopped(CriuOptions options) => options switch
    {
        DumpOptions dump => dump with { FinalState = FinalState.Stop },
        RestoreOptions restore => restore with { LeaveStopped = true },
        _ => options,
    };

    private static CriuOptions Detach(CriuOptions options, bool on) =>
        options is RestoreOptions restore ? restore with { Detached = on } : options with { Daemon = on };

    // -v, -vvv (the value of the first is the rest of the word) and -v3; what is no number counts as 0.
    private static int Verbosity(int now, string? value) => value switch
    {
        null => now + 1,
        ['v', ..] => now + value.Length + 1,
        _ => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int level) ? level : 0,
    };
}
