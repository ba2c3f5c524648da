using System.Diagnostics;
using System.Runtime.CompilerServices;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>A program of tests/targets that checks itself: it says "ready", and after SIGTERM "ok" or "fail: why".</summary>
internal sealed class Target : IDisposable
{
    private static readonly Lazy<string> s_programs = new(Build);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly Process? _child;

    private Target(string folder, int pid, Process? child = null)
    {
        Folder = folder;
        Pid = pid;
        _child = child;
    }

    public string Folder { get; }

    public int Pid { get; }

    public string Images => Path.Join(Folder, "images");

    /// <summary>Everything that the target said.</summary>
    public string Said => File.ReadAllText(StatusFile);

    /// <summary>Whether .NET thinks that a child of this process has ended.</summary>
    public bool HasExited => _child!.HasExited;

    private string StatusFile => Path.Join(Folder, "status");

    /// <summary>The program of a target.</summary>
    public static string PathOf(string name) => Path.Join(s_programs.Value, name);

    /// <summary>Starts a target in a session of its own, with files and nothing else as descriptors, and waits until it is ready.</summary>
    /// <param name="name">The program.</param>
    /// <param name="environment">A setting for it, as the shell writes it.</param>
    public static Target Start(string name, string environment = "")
    {
        string folder = NewFolder();
        using Process starter = Process.Start("setsid", ["--fork", .. Script(folder, name, environment)]);
        starter.WaitForExit();
        return AwaitReady(folder, null);
    }

    /// <summary>As <see cref="Start"/>, but the target is a child of this process.</summary>
    public static Target StartChild(string name)
    {
        string folder = NewFolder();
        return AwaitReady(folder, Process.Start("setsid", Script(folder, name, "")));
    }

    /// <summary>Asks the target for its verdict and ends it.</summary>
    public string Finish()
    {
        using Process kill = Process.Start("kill", ["-TERM", $"{Pid}"]);
        kill.WaitForExit();
        string text = Await(StatusFile, t => t.TrimEnd().Split('\n')[^1] is var last && (last == "ok" || last.StartsWith("fail")));
        return text.TrimEnd().Split('\n')[^1];
    }

    public void Dispose()
    {
        _child?.Dispose();
        using Process kill = Process.Start(new ProcessStartInfo("kill", ["-KILL", $"{Pid}"]) { RedirectStandardError = true })!;
        kill.WaitForExit();
        Directory.Delete(Folder, recursive: true);
    }

    private static string NewFolder() => Directory.CreateTempSubdirectory("criups-target-").FullName;

    private static string[] Script(string folder, string name, string environment) =>
    [
        "bash", "-c",
        $"for fd in $(ls /proc/self/fd); do [ $fd -gt 2 ] && eval \"exec $fd>&-\"; done; echo $$ > {folder}/pid; "
            + $"{environment} exec {PathOf(name)} {folder}/status </dev/null >>{folder}/log 2>&1",
    ];

    private static Target AwaitReady(string folder, Process? child)
    {
        Target target = new(folder, int.Parse(Await($"{folder}/pid", text => text.EndsWith('\n'))), child);
        Await(target.StatusFile, text => text.Contains("ready"));
        return target;
    }

    private static string Await(string file, Func<string, bool> isThere)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            string text = File.Exists(file) ? File.ReadAllText(file) : "";
            if (isThere(text))
            {
                return text;
            }

            if (Stopwatch.GetElapsedTime(start) > s_patience)
            {
                throw new TimeoutException($"{file} says only '{text}'");
            }

            Thread.Sleep(20);
        }
    }

    private static string Build()
    {
        string source = Path.GetFullPath(Path.Join(Here(), "../../targets"));
        string output = Directory.CreateTempSubdirectory("criups-targets-").FullName;
        using Process build = Process.Start("sh", [Path.Join(source, "build.sh"), output]);
        build.WaitForExit();
        Assert.Equal(0, build.ExitCode);
        return output;
    }

    private static string Here([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
