using System.Diagnostics;
using System.Runtime.CompilerServices;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>A program of tests/targets that checks itself: it says "ready", and after SIGTERM "ok" or "fail: why".</summary>
internal sealed class Target : IDisposable
{
    private static readonly Lazy<string> s_programs = new(Build);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private Target(string folder, int pid)
    {
        Folder = folder;
        Pid = pid;
    }

    public string Folder { get; }

    public int Pid { get; }

    public string Images => Path.Join(Folder, "images");

    /// <summary>Everything that the target said.</summary>
    public string Said => File.ReadAllText(StatusFile);

    private string StatusFile => Path.Join(Folder, "status");

    /// <summary>Starts a target in a session of its own, with files and nothing else as descriptors, and waits until it is ready.</summary>
    /// <param name="name">The program.</param>
    /// <param name="environment">A setting for it, as the shell writes it.</param>
    public static Target Start(string name, string environment = "")
    {
        string folder = Directory.CreateTempSubdirectory("criups-target-").FullName;
        string program = Path.Join(s_programs.Value, name);
        string script = $"for fd in $(ls /proc/self/fd); do [ $fd -gt 2 ] && eval \"exec $fd>&-\"; done; echo $$ > {folder}/pid; "
            + $"{environment} exec {program} {folder}/status </dev/null >>{folder}/log 2>&1";
        using Process starter = Process.Start("setsid", ["--fork", "bash", "-c", script]);
        starter.WaitForExit();
        Target target = new(folder, int.Parse(Await($"{folder}/pid", text => text.EndsWith('\n'))));
        Await(target.StatusFile, text => text.Contains("ready"));
        return target;
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
        using Process kill = Process.Start(new ProcessStartInfo("kill", ["-KILL", $"{Pid}"]) { RedirectStandardError = true })!;
        kill.WaitForExit();
        Directory.Delete(Folder, recursive: true);
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
