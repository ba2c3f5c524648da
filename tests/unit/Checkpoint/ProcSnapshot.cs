using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Everything under /proc/PID that a checkpoint must not change, as lines that can be compared.</summary>
/// <remarks>
/// Left out is what tells of the past (io, schedstat, fault counters, start time), of the moment (stack, syscall, wchan, resident pages), or of the whole
/// machine as the process sees it (mounts, net).
/// </remarks>
internal static partial class ProcSnapshot
{
    private static readonly string[] s_statusOfTheMoment =
    [
        "State:", "VmPeak:", "VmHWM:", "VmRSS:", "RssAnon:", "RssFile:", "RssShmem:", "HugetlbPages:", "VmPTE:", "VmSwap:", "voluntary_ctxt_switches:", "FDSize:",
        "nonvoluntary_ctxt_switches:", "SigQ:", "PPid:", "TracerPid:",

        // A signal that is not blocked is pending for a moment only; the others are compared.
        "SigPnd:", "ShdPnd:",
    ];

    private static readonly string[] s_files =
    [
        "limits", "cmdline", "environ", "auxv", "personality", "oom_adj", "oom_score_adj", "timers", "coredump_filter", "cgroup", "cpuset", "loginuid",
        "sessionid", "timens_offsets", "uid_map", "gid_map", "projid_map", "setgroups", "attr/current", "attr/exec", "attr/fscreate", "attr/keycreate",
        "attr/sockcreate", "arch_status",
    ];

    private static readonly string[] s_smaps = ["Size:", "Locked:", "ProtectionKey:"];

    // Names of fields and their places in /proc/PID/stat, counted from the state, which is the first behind the name (proc_pid_stat(5)).
    private static readonly (string Name, int Place)[] s_stat =
    [
        ("pgrp", 2), ("session", 3), ("tty", 4), ("tpgid", 5), ("priority", 15), ("nice", 16), ("threads", 17), ("vsize", 20),
        ("startcode", 23), ("endcode", 24), ("startstack", 25), ("exit_signal", 35), ("rt_priority", 37), ("policy", 38),
        ("start_data", 42), ("end_data", 43), ("start_brk", 44), ("arg_start", 45), ("arg_end", 46), ("env_start", 47), ("env_end", 48),
    ];

    // Two of the kernel's marks tell of the past and nobody can set them (PF_FORKNOEXEC, PF_SUPERPRIV; include/linux/sched.h).
    private const int FlagsPlace = 6, ForkedWithoutExec = 0x40, UsedPrivileges = 0x100;

    /// <summary>The lines that only one of two records has, for people; empty if they are equal.</summary>
    public static string Difference(IReadOnlyList<string> before, IReadOnlyList<string> after) => before.SequenceEqual(after)
        ? ""
        : string.Join('\n', before.Except(after).Select(line => $"- {line}").Concat(after.Except(before).Select(line => $"+ {line}")).DefaultIfEmpty("order"));

    /// <summary>Records a process.</summary>
    public static IReadOnlyList<string> Of(int pid)
    {
        Dictionary<string, int> deleted = [];
        List<string> lines = [.. Lines($"/proc/{pid}/maps").Select(line => "maps " + SameInode(Blanks().Replace(line, " "), deleted))];
        AddMappings(lines, pid);
        foreach (string file in s_files)
        {
            lines.Add($"{file} {TryRead($"/proc/{pid}/{file}")}");
        }

        // The autogroup belongs to the session and has a new number in a new one.
        lines.Add($"autogroup {AutogroupNumber().Replace(TryRead($"/proc/{pid}/autogroup"), "")}");
        lines.AddRange(TryRead($"/proc/{pid}/ksm_stat").Split('\n').Where(line => line.StartsWith("ksm_m")).Select(line => $"ksm_stat {line}"));
        foreach (string link in new[] { "cwd", "root", "exe" }.Concat(Names($"/proc/{pid}/ns").Select(name => $"ns/{name}")))
        {
            lines.Add($"{link} {new FileInfo($"/proc/{pid}/{link}").LinkTarget}");
        }

        AddDescriptors(lines, pid, deleted);
        Dictionary<int, string[]> tasks = Numbers($"/proc/{pid}/task").ToDictionary(tid => tid, tid => Lines($"/proc/{pid}/task/{tid}/status").ToArray());
        ulong blockedByAll = tasks.Values.Aggregate(ulong.MaxValue, (blocked, status) => blocked & Signals(status, "SigBlk:"));
        foreach ((int tid, string[] status) in tasks)
        {
            AddTask(lines, pid, tid, status);
            lines.Add($"{tid} pending: {Signals(status, "SigPnd:") & Signals(status, "SigBlk:"):x} {Signals(status, "ShdPnd:") & blockedByAll:x}");
        }

        return lines;
    }

    private static void AddMappings(List<string> lines, int pid)
    {
        string range = "";
        foreach (string line in Lines($"/proc/{pid}/smaps"))
        {
            if (RangeAtStart().IsMatch(line))
            {
                range = line[..line.IndexOf(' ')];
            }
            else if (line.StartsWith("VmFlags:") || s_smaps.Any(line.StartsWith))
            {
                // Soft-dirty says what was written, and everything was.
                lines.Add($"smaps {range} {Blanks().Replace(line, " ").Replace(" sd", "").TrimEnd()}");
            }
        }

        // Range and policy; what follows are counters of pages.
        lines.AddRange(Lines($"/proc/{pid}/numa_maps").Select(line => "numa " + string.Join(' ', line.Split(' ').Take(2))));
    }

    // A file of /proc has an inode for the moment. A pipe has a new one: it is told by the order in which pipes appear, so that ends of one pipe still show as such.
    private static void AddDescriptors(List<string> lines, int pid, Dictionary<string, int> deleted)
    {
        List<string> pipes = [];
        HashSet<string> lost = [.. Numbers($"/proc/{pid}/fd").Where(fd => IsDeleted(new FileInfo($"/proc/{pid}/fd/{fd}").LinkTarget ?? ""))
            .SelectMany(fd => FdInfo(pid, fd).Where(line => line.StartsWith("ino:"))).Select(line => $"{ulong.Parse(line[4..]):x}")];
        foreach (int fd in Numbers($"/proc/{pid}/fd"))
        {
            string target = new FileInfo($"/proc/{pid}/fd/{fd}").LinkTarget ?? "";
            bool socket = target.StartsWith("socket:"), pipe = target.StartsWith("pipe:") || socket, newInode = pipe || target == "anon_inode:[pidfd]" || target.StartsWith("/proc/");
            if (pipe && !pipes.Contains(target))
            {
                pipes.Add(target);
            }

            lines.Add($"fd {fd} {(pipe ? $"{(socket ? "socket" : "pipe")} {pipes.IndexOf(target)}" : Number().Replace(target, "#N (deleted)"))}");
            lines.AddRange(FdInfo(pid, fd).Where(line => !(newInode && line.StartsWith("ino:")))
                .Select(line => $"fdinfo {fd} {(IsDeleted(target) ? SameInode(line, deleted) : WithoutLost(line, lost))}"));
        }
    }

    // Files without a name get new inodes; which mappings and descriptors belong together must stay.
    private static string SameInode(string line, Dictionary<string, int> known)
    {
        string[] words = line.Split(' ', '\t');
        int at = words.Length >= 6 && IsDeleted(string.Join(' ', words[5..])) ? 4 : words[0] == "ino:" ? 1 : -1;
        if (at >= 0)
        {
            known.TryAdd(words[at], known.Count);
            words[at] = $"inode {known[words[at]]}";
        }

        return string.Join(' ', words);
    }

    // A watch of a file without a name is on another inode afterwards.
    private static string WithoutLost(string line, HashSet<string> lost) =>
        WatchedInode().Match(line) is { Success: true } match && lost.Contains(match.Groups[1].Value) ? WatchedInode().Replace(line, "lost") : line;

    private static bool IsDeleted(string path) => path.EndsWith(" (deleted)");

    private static void AddTask(List<string> lines, int pid, int tid, string[] status)
    {
        string folder = $"/proc/{pid}/task/{tid}";
        lines.AddRange(status.Where(line => !s_statusOfTheMoment.Any(line.StartsWith)).Select(line => $"{tid} {line}"));
        lines.Add($"{tid} comm {TryRead($"{folder}/comm")}");
        lines.Add($"{tid} timer slack {TryRead($"/proc/{tid}/timerslack_ns")}");
        string stat = TryRead($"{folder}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        lines.AddRange(s_stat.Select(field => $"{tid} {field.Name} {fields[field.Place]}"));
        lines.Add($"{tid} flags {int.Parse(fields[FlagsPlace]) & ~(ForkedWithoutExec | UsedPrivileges):x}");
    }

    private static ulong Signals(string[] status, string name) =>
        status.FirstOrDefault(line => line.StartsWith(name)) is { } line ? ulong.Parse(line[name.Length..], NumberStyles.HexNumber) : 0;

    private static IEnumerable<string> Lines(string path) => TryRead(path).TrimEnd('\n').Split('\n');

    // A file that a kernel does not have reads as nothing, and must read as nothing again.
    private static string TryRead(string path)
    {
        try
        {
            return Encoding.Latin1.GetString(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.GetType().Name;
        }
    }

    private static IEnumerable<string?> Names(string folder) => Directory.GetFileSystemEntries(folder).Select(Path.GetFileName).Order();

    private static IEnumerable<int> Numbers(string folder) => Names(folder).Select(name => int.Parse(name!)).Order();

    // Timers run on; the kernel numbers eventfds as they come; an epoll set shows its members in the order of their addresses, and under numbers that may have been closed since.
    private static IEnumerable<string> FdInfo(int pid, int fd)
    {
        string[] lines = [.. Lines($"/proc/{pid}/fdinfo/{fd}")];
        return lines.Where(l => !l.StartsWith("it_value:") && !l.StartsWith("ticks:") && !l.StartsWith("tfd:") && !l.StartsWith("eventfd-id:"))
            .Concat(lines.Where(l => l.StartsWith("tfd:")).Select(l => l[l.IndexOf("events:")..]).Order());
    }

    // A file that never had a name is called by its inode.
    [GeneratedRegex("#[0-9]+ \\(deleted\\)$")]
    private static partial Regex Number();

    [GeneratedRegex(" +")]
    private static partial Regex Blanks();

    [GeneratedRegex("^[0-9a-f]+-[0-9a-f]+ ")]
    private static partial Regex RangeAtStart();

    [GeneratedRegex("ino:([0-9a-f]+) |f_handle:[0-9a-f]+")]
    private static partial Regex WatchedInode();

    [GeneratedRegex("-[0-9]+")]
    private static partial Regex AutogroupNumber();
}
