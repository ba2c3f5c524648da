using System.Diagnostics;
using CriuPS.Tests.Rpc;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>
/// Who dumps or restores is killed (SIGKILL) at random moments. A target goes on unharmed and untraced, and of a restore nothing is left but the target,
/// whole, or nothing at all. How often is said by CRIUPS_KILLS: few times by default, because each takes a second.
/// </summary>
public sealed class KilledTests
{
    private static readonly int s_kills = int.Parse(Environment.GetEnvironmentVariable("CRIUPS_KILLS") ?? "12");
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("waits")]
    [InlineData("mappings_many")]
    public void A_target_outlives_the_death_of_whoever_dumps_it(string name)
    {
        using Target target = Target.Start(name);
        string before = Descriptors(target.Pid);
        TimeSpan frozen = MeasureFreeze(target, Dump(target, 0));
        Random random = new();
        for (int kill = 1; kill <= s_kills; kill++)
        {
            TimeSpan moment = frozen * (1.1 * random.NextDouble());
            RunAndKill(Dump(target, kill), moment, () => IsTraced(target.Pid));
            AwaitUntraced(target, $"killed {moment.TotalMilliseconds:f2} ms after the freeze began");
            Assert.Equal("ready", target.Said.TrimEnd());
        }

        Until(() => Descriptors(target.Pid) == before, () => $"descriptors are {Descriptors(target.Pid)}\nand were {before}");
        Assert.Equal("ok", target.Finish());
    }

    [Theory]
    [InlineData("waits")]
    [InlineData("threads")]
    public void A_target_that_was_to_be_ended_outlives_it_too_or_its_images_are_complete(string name)
    {
        using Target target = Target.Start(name);
        string[] before = Numbers(target.Pid);
        TimeSpan frozen = MeasureFreeze(target, Dump(target, 0));
        Random random = new();
        for (int kill = 1; kill <= s_kills / 2; kill++)
        {
            string images = Folder(target, $"images{kill}");
            TimeSpan moment = frozen * (1.3 * random.NextDouble());
            RunAndKill(["dump", "-t", $"{target.Pid}", "-D", images], moment, () => IsTraced(target.Pid));
            if (IsEnding(target.Pid))
            {
                Until(() => IsGone(target.Pid), () => "it was killed, and is not dead");
                Assert.Equal(0, Run(["restore", "-d", "-D", images]));
            }

            AwaitUntraced(target, $"killed {moment.TotalMilliseconds:f2} ms after the freeze began");
            Assert.Equal("ready", target.Said.TrimEnd());
        }

        Until(() => Numbers(target.Pid).SequenceEqual(before), () => $"descriptors are {string.Join(' ', Numbers(target.Pid))}\nand were {string.Join(' ', before)}");
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_dump_after_the_death_of_another_is_a_good_one()
    {
        using Target target = Target.Start("registers");
        TimeSpan frozen = MeasureFreeze(target, Dump(target, 0));
        Random random = new();
        for (int kill = 1; kill <= s_kills / 4; kill++)
        {
            RunAndKill(Dump(target, kill), frozen * random.NextDouble(), () => IsTraced(target.Pid));
            AwaitUntraced(target, "killed");
            Assert.Equal(0, Run(["dump", "-t", $"{target.Pid}", "-D", Folder(target, $"good{kill}")]));
            Assert.Equal(0, Run(["restore", "-d", "-D", Folder(target, $"good{kill}")]));
        }

        Assert.Equal("ok", target.Finish());
    }

    [Theory]
    [InlineData("waits")]
    [InlineData("guards")]
    public void A_restore_that_dies_leaves_the_whole_process_or_nothing(string name)
    {
        using Target target = Target.Start(name);
        string images = Folder(target, "images");
        string[] dump = ["dump", "-t", $"{target.Pid}", "-D", images], restore = ["restore", "-d", "-D", images];
        Assert.Equal(0, Run(dump));
        TimeSpan whole = Measure(restore);
        Assert.Equal(0, Run(dump));
        Random random = new();
        for (int kill = 1; kill <= s_kills; kill++)
        {
            TimeSpan moment = whole * (1.1 * random.NextDouble());
            int session = RunAndKill(restore, moment, () => true);
            AwaitDead(session, $"killed after {moment.TotalMilliseconds:f2} ms");
            if (!IsGone(target.Pid))
            {
                // The restore was complete: it is the target, and can be dumped again.
                AwaitUntraced(target, "restored before its restorer was killed");
                Assert.Equal(0, Run(dump));
            }
        }

        Assert.Equal(0, Run(restore));
        Assert.Equal("ok", target.Finish());
    }

    private static string[] Dump(Target target, int number) => ["dump", "-R", "-t", $"{target.Pid}", "-D", Folder(target, $"images{number}")];

    private static string Folder(Target target, string name) => Directory.CreateDirectory(Path.Join(target.Folder, name)).FullName;

    private static int Run(string[] arguments)
    {
        using Process process = Start(arguments);
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(1)));
        return process.ExitCode;
    }

    private static TimeSpan Measure(string[] arguments)
    {
        long start = Stopwatch.GetTimestamp();
        Assert.Equal(0, Run(arguments));
        return Stopwatch.GetElapsedTime(start);
    }

    private static TimeSpan MeasureFreeze(Target target, string[] arguments)
    {
        using Process process = Start(arguments);
        long start = AwaitFirst(() => IsTraced(target.Pid), process), end = AwaitFirst(() => !IsTraced(target.Pid), process);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return Stopwatch.GetElapsedTime(start, end);
    }

    private static long AwaitFirst(Func<bool> condition, Process process)
    {
        while (!condition() && !process.HasExited)
        {
        }

        return Stopwatch.GetTimestamp();
    }

    private static bool IsTraced(int pid) => Status($"/proc/{pid}/task/{pid}", "TracerPid:") != "0";

    // In a session of its own, by which whatever it leaves behind can be told.
    private static Process Start(string[] arguments) =>
        Process.Start(new ProcessStartInfo("setsid", [RpcServer.Program, .. arguments]) { RedirectStandardError = false, UseShellExecute = false })!;

    private static int RunAndKill(string[] arguments, TimeSpan moment, Func<bool> begun)
    {
        using Process process = Start(arguments);
        long start = AwaitFirst(begun, process);
        while (Stopwatch.GetElapsedTime(start) < moment)
        {
        }

        process.Kill();
        process.WaitForExit();
        return process.Id;
    }

    private static void AwaitUntraced(Target target, string when) => Until(
        () => Directory.GetFileSystemEntries($"/proc/{target.Pid}/task").All(task => Status(task, "TracerPid:") == "0" && Status(task, "State:")[0] is not ('T' or 't')),
        () => $"{when}, and process {target.Pid} is still held: {File.ReadAllText($"/proc/{target.Pid}/status")}");

    private static void AwaitDead(int session, string when) => Until(
        () => !Members(session).Any(),
        () => $"{when}, and there are still processes {string.Join(' ', Members(session))}");

    // Newborns are of the session of whoever made them until they get their own.
    private static IEnumerable<string> Members(int session) => Directory.GetDirectories("/proc")
        .Where(folder => int.TryParse(Path.GetFileName(folder), out _))
        .Where(folder => Stat(folder) is [not "Z", _, _, string sid, ..] && sid == $"{session}");

    private static string[] Stat(string folder)
    {
        try
        {
            string text = File.ReadAllText($"{folder}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return [];
        }
    }

    private static string Status(string task, string key)
    {
        try
        {
            return File.ReadAllLines($"{task}/status").Single(line => line.StartsWith(key))[key.Length..].Trim();
        }
        catch (IOException) when (!Directory.Exists(task))
        {
            return "0";
        }
    }

    // Killed, and perhaps not dead yet: the signal waits for the process (SigPnd, ShdPnd), or some of its threads are gone.
    private static bool IsEnding(int pid) => IsGone(pid)
        || ((Convert.ToUInt64(Status($"/proc/{pid}", "ShdPnd:"), 16) | Convert.ToUInt64(Status($"/proc/{pid}", "SigPnd:"), 16)) >> 8 & 1) != 0;

    private static bool IsGone(int pid) => Stat($"/proc/{pid}") is [] or ["Z", ..];

    private static string[] Numbers(int pid) => [.. Directory.GetFileSystemEntries($"/proc/{pid}/fd").Select(fd => Path.GetFileName(fd)).Order()];

    private static string Descriptors(int pid) => string.Join(
        '\n', Directory.GetFileSystemEntries($"/proc/{pid}/fd").Select(fd => $"{Path.GetFileName(fd)} {new FileInfo(fd).LinkTarget}").Order());

    private static void Until(Func<bool> condition, Func<string> otherwise)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < s_patience, otherwise());
            Thread.Sleep(5);
        }
    }
}
