using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Everything under /proc/PID that a checkpoint must not change, as lines that can be compared.</summary>
internal static partial class ProcSnapshot
{
    // Counters of the past and measures of the moment; a restored process has a new past.
    private static readonly string[] s_exempt =
    [
        "State:", "VmPeak:", "VmHWM:", "VmRSS:", "RssAnon:", "RssFile:", "RssShmem:", "VmPTE:", "VmSwap:", "voluntary_ctxt_switches:", "FDSize:",
        "nonvoluntary_ctxt_switches:", "SigQ:", "PPid:", "TracerPid:", "VmSize:", "VmLib:", "VmExe:", "VmData:", "VmStk:", "VmPin:", "Cpus_", "Mems_",

        // A signal that is not blocked is pending for a moment only; the others are compared.
        "SigPnd:", "ShdPnd:",
    ];

    private static readonly string[] s_files = ["limits", "cmdline", "environ", "auxv", "personality", "oom_score_adj", "comm", "timers"];

    /// <summary>Records a process.</summary>
    public static IReadOnlyList<string> Of(int pid)
    {
        Dictionary<string, int> deleted = [];
        List<string> lines = [.. File.ReadAllLines($"/proc/{pid}/maps").Select(l => "maps " + SameInode(Blanks().Replace(l, " "), deleted))];
        foreach (string file in s_files)
        {
            lines.Add($"{file} {Encoding.Latin1.GetString(File.ReadAllBytes($"/proc/{pid}/{file}"))}");
        }

        foreach (string link in new[] { "cwd", "root", "exe" })
        {
            lines.Add($"{link} {File.ResolveLinkTarget($"/proc/{pid}/{link}", false)?.FullName}");
        }

        foreach (int fd in Numbers($"/proc/{pid}/fd"))
        {
            string target = new FileInfo($"/proc/{pid}/fd/{fd}").LinkTarget ?? "";
            bool pipe = target.StartsWith("pipe:");
            lines.Add($"fd {fd} {(pipe ? "a pipe" : Number().Replace(target, "#N (deleted)"))}");
            lines.AddRange(File.ReadAllLines($"/proc/{pid}/fdinfo/{fd}").Where(l => !(pipe && l.StartsWith("ino:")))
                .Select(l => $"fdinfo {fd} {(IsDeleted(target) ? SameInode(l, deleted) : l)}"));
        }

        Dictionary<int, string[]> tasks = Numbers($"/proc/{pid}/task").ToDictionary(tid => tid, tid => File.ReadAllLines($"/proc/{pid}/task/{tid}/status"));
        ulong blockedByAll = tasks.Values.Aggregate(ulong.MaxValue, (blocked, status) => blocked & Signals(status, "SigBlk:"));
        foreach ((int tid, string[] status) in tasks)
        {
            lines.AddRange(status.Where(l => !s_exempt.Any(l.StartsWith)).Select(l => $"{tid} {l}"));
            lines.Add($"{tid} pending: {Signals(status, "SigPnd:") & Signals(status, "SigBlk:"):x} {Signals(status, "ShdPnd:") & blockedByAll:x}");
        }

        return lines;
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

    private static bool IsDeleted(string path) => path.EndsWith(" (deleted)");

    private static ulong Signals(string[] status, string name) => ulong.Parse(status.Single(l => l.StartsWith(name))[name.Length..], NumberStyles.HexNumber);

    private static IEnumerable<int> Numbers(string folder) =>
        Directory.GetFileSystemEntries(folder).Select(e => int.Parse(Path.GetFileName(e))).Order();

    // A file that never had a name is called by its inode.
    [GeneratedRegex("#[0-9]+ \\(deleted\\)$")]
    private static partial Regex Number();

    [GeneratedRegex(" +")]
    private static partial Regex Blanks();
}
