using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using CriuPS.Engine.Images;
using CriuPS.Tests.Checkpoint;
using CriuPS.Tests.Images;
using CriuPS.Tests.Rpc;
using Xunit;

namespace CriuPS.Tests.Criu;

/// <summary>The program itself: exit codes, logs, pid files, scripts, and real programs that come back.</summary>
public sealed partial class CriuProgramTests
{
    [Theory]
    [InlineData("", "criu --help")]
    [InlineData("frobnicate", "no command frobnicate")]
    [InlineData("dump more words", "'more words'")]
    [InlineData("cpuinfo", "dump or check")]
    [InlineData("--bogus dump", "--bogus")]
    [InlineData("dump", "--tree")]
    [InlineData("dump -t 1 --tcp-established", "--tcp-established is not supported")]
    [InlineData("restore --restore-sibling", "--restore-sibling needs --restore-detached")]
    [InlineData("restore --exec-cmd", "--exec-cmd")]
    [InlineData("restore -D /nonexistent", "/nonexistent")]
    [InlineData("check --feature bogus", "bogus")]
    [InlineData("pre-dump -t 1", "pre-dump is not supported")]
    [InlineData("dump --config /nonexistent", "/nonexistent")]
    public void AMistakeIsOneOnTheCommandLine(string line, string named)
    {
        (int code, _, string error) = CriuProgram.Run(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(1, code);
        Assert.Contains(named, error);
    }

    [Theory]
    [InlineData("--version", "Version: 4.2\n")]
    [InlineData("-V", "Version: 4.2\n")]
    [InlineData("--help", "--tcp-established")]
    [InlineData("dump --config /nonexistent -h", "--tcp-established")]
    [InlineData("check --feature list", "mem_dirty_track")]
    public void AnswersQuestions(string line, string answer)
    {
        (int code, string output, _) = CriuProgram.Run(line.Split(' '));
        Assert.Equal(0, code);
        Assert.Contains(answer, output);
    }

    /// <summary>Making the descriptors of the schema takes longer than all the rest of a dump: neither a dump nor a restore may need them.</summary>
    [Fact]
    public void NoDescriptorOfTheSchemaIsMade()
    {
        using Target target = Target.Start("registers");
        Directory.CreateDirectory(target.Images);
        string[][] commands = [["dump", $"-t{target.Pid}", "-D", target.Images], ["restore", "-d", "-D", target.Images]];
        foreach (string[] command in commands)
        {
            // The runtime itself records each method that it compiles (docs: "Event tracing", JitKeyword), names as UTF-16.
            string trace = Path.Join(target.Folder, $"{command[0]}.nettrace");
            Success(CriuProgram.Run(
                [("DOTNET_EnableEventPipe", "1"), ("DOTNET_EventPipeOutputPath", trace), ("DOTNET_EventPipeConfig", "Microsoft-Windows-DotNETRuntime:0x10:5")],
                command));
            ReadOnlySpan<byte> compiled = File.ReadAllBytes(trace);
            Assert.True(compiled.IndexOf(Encoding.Unicode.GetBytes("Images.Schema.inventory_entry")) >= 0, $"{command[0]} was not recorded");
            Assert.Equal(-1, compiled.IndexOf(Encoding.Unicode.GetBytes("Google.Protobuf.Reflection.FileDescriptor")));
        }

        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void AProgramComesBackWithPidFileAndLogs()
    {
        using Target target = Target.Start("registers");
        Directory.CreateDirectory(target.Images);
        Success(CriuProgram.Run("dump", $"-t{target.Pid}", "-D", target.Images, "-o", "dump.log", "-v4", "--pidfile", "ignored"));
        Assert.Matches(LogLine(), File.ReadLines(Path.Join(target.Images, "dump.log")).First());
        Success(CriuProgram.Run("restore", "-d", "-D", target.Images, "-o", "restore.log", "--pidfile", "pid"));
        Assert.Equal($"{target.Pid}", File.ReadAllText(Path.Join(target.Images, "pid")));
        Assert.Equal("", File.ReadAllText(Path.Join(target.Images, "restore.log")));
        CheckStatistics(target.Images);
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void TheProcessorIsDescribedAndCompared()
    {
        using TemporaryDirectory folder = new();
        Assert.Equal(1, CriuProgram.Run("cpuinfo", "check", "-D", folder.Path).Code);
        Success(CriuProgram.Run("cpuinfo", "dump", "-D", folder.Path));
        Success(CriuProgram.Run("cpuinfo", "check", "-D", folder.Path, "--cpu-cap=all"));
        Success(CriuProgram.Run("dedup", "-D", folder.Path));
    }

    [Fact]
    public void APidFileThatExistsEndsTheRestore()
    {
        using Target target = Dumped();
        File.WriteAllText(Path.Join(target.Images, "pid"), "before");
        (int code, _, string error) = CriuProgram.Run("restore", "-d", "-D", target.Images, "--pidfile", "pid");
        Assert.Equal(1, code);
        Assert.Contains("pid", error);
        Assert.Equal("before", File.ReadAllText(Path.Join(target.Images, "pid")));
        Assert.False(IsAlive(target.Pid));
    }

    [Fact]
    public void WithoutDetachingItIsTheParentAndWaits()
    {
        using Target target = Dumped();
        using Process criu = CriuProgram.Start([], "restore", "-D", target.Images, "--pidfile", "pid");
        RpcServer.Wait(() => File.Exists($"/proc/{target.Pid}/status") && ParentOf(target.Pid) == criu.Id, "the restored program");
        Assert.Equal("ok", target.Finish());
        Assert.True(criu.WaitForExit(TimeSpan.FromSeconds(60)));
        Assert.Equal(0, criu.ExitCode);
    }

    [Fact]
    public void ASiblingIsAChildOfTheCaller()
    {
        using Target target = Dumped();
        Success(CriuProgram.Run("restore", "-d", "--restore-sibling", "-D", target.Images));
        Assert.Equal(Environment.ProcessId, ParentOf(target.Pid));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void ACommandTakesThePlaceOfTheParent()
    {
        using Target target = Dumped();
        string script = $"echo $$ $1; grep PPid: /proc/{target.Pid}/status; kill -KILL {target.Pid}";
        string[] line = ["restore", "-D", target.Images, "--exec-cmd", "--", "sh", "-c", script, "sh", "x y"];
        (int code, string output, _) = Success(CriuProgram.Run(line));
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(0, code);
        Assert.EndsWith(" x y", lines[0]);
        Assert.Equal($"PPid:\t{lines[0].Split(' ')[0]}", lines[1]);
    }

    [Fact]
    public void ScriptsAreRunAtTheStages()
    {
        using Target target = Target.Start("registers");
        Directory.CreateDirectory(target.Images);
        string script = Script(target, "exit 0");
        Success(CriuProgram.Run("dump", "-t", $"{target.Pid}", "-D", target.Images, "--action-script", script));
        Success(CriuProgram.Run("restore", "-d", "-D", target.Images, "--action-script", script));
        string[] expected =
        [
            $"pre-dump {target.Pid}", $"post-dump {target.Pid}", "pre-restore", $"post-restore {target.Pid}", $"pre-resume {target.Pid}",
            $"post-resume {target.Pid}",
        ];
        Assert.Equal(expected.Select(stage => $"{stage} in {target.Images}"), File.ReadAllLines(Path.Join(target.Folder, "stages")));
        Assert.Equal("ok", target.Finish());
    }

    [Theory]
    [InlineData("pre-dump", 1, false)]
    [InlineData("post-dump", 7, true)]
    public void AScriptThatDisagreesLeavesTheProgramUnharmed(string stage, int code, bool complete)
    {
        using Target target = Target.Start("registers");
        Directory.CreateDirectory(target.Images);
        string script = Script(target, $"[ $CRTOOLS_SCRIPT_ACTION != {stage} ] || exit 7");
        (int found, _, string error) = CriuProgram.Run("dump", "-t", $"{target.Pid}", "-D", target.Images, "--action-script", script);
        Assert.Equal(code, found);
        Assert.Contains(stage, error);
        Assert.Equal(complete, File.Exists(Path.Join(target.Images, "inventory.img")));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void AScriptThatDisagreesEndsARestore()
    {
        using Target target = Dumped();
        string script = Script(target, "[ $CRTOOLS_SCRIPT_ACTION != post-restore ] || exit 7");
        (int code, _, string error) = CriuProgram.Run("restore", "-d", "-D", target.Images, "--action-script", script);
        Assert.Equal(1, code);
        Assert.Contains("post-restore", error);
        Assert.False(IsAlive(target.Pid));
        Success(CriuProgram.Run("restore", "-d", "-D", target.Images));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void TheCommandLineIsStrongerThanConfigurationFiles()
    {
        using TemporaryDirectory folder = new();
        Directory.CreateDirectory(folder[".criu"]);
        File.WriteAllText(folder[".criu/default.conf"], "log-file home.log\nverbosity 4\n");
        File.WriteAllText(folder["variable.conf"], "log-file \"from variable.log\" # wins\n");
        (string, string)[] variables = [("HOME", folder.Path), ("CRIU_CONFIG_FILE", folder["variable.conf"])];
        Success(CriuProgram.Run(variables, "check", "--feature", "mnt_id", "-D", folder.Path));
        Assert.NotEmpty(File.ReadAllText(folder["from variable.log"]));
        Success(CriuProgram.Run(variables, "check", "--feature", "mnt_id", "-D", folder.Path, "-o", "line.log", "--no-default-config"));
        Assert.Empty(File.ReadAllText(folder["line.log"]));
        Assert.False(File.Exists(folder["home.log"]));
    }

    private static void CheckStatistics(string images)
    {
        using ImageSet set = ImageSet.Open(images);
        DumpStatsEntry dump = set.ReadSingle<StatsEntry>(ImageType.StatsDump).Dump;
        long written = Directory.GetFiles(images, "pages-*.img").Sum(file => new FileInfo(file).Length);
        Assert.Equal(written, (long)(dump.PagesWritten + dump.ShpagesWritten) * Environment.SystemPageSize);
        Assert.True(dump.FreezingTime <= dump.FrozenTime && dump.FrozenTime > 0);
        RestoreStatsEntry restore = set.ReadSingle<StatsEntry>(ImageType.StatsRestore).Restore;
        Assert.True(restore.PagesRestored > 0 && restore.PagesRestored <= dump.PagesWritten + dump.ShpagesWritten);
        Assert.True(restore.ForkingTime <= restore.RestoreTime && restore.RestoreTime > 0);
    }

    private static Target Dumped()
    {
        Target target = Target.Start("registers");
        Directory.CreateDirectory(target.Images);
        Success(CriuProgram.Run("dump", "-t", $"{target.Pid}", "-D", target.Images));
        return target;
    }

    private static string Script(Target target, string end)
    {
        string path = Path.Join(target.Folder, "script");
        string line = $"echo $CRTOOLS_SCRIPT_ACTION $CRTOOLS_INIT_PID in $CRTOOLS_IMAGE_DIR >> {target.Folder}/stages";
        File.WriteAllText(path, $"#!/bin/sh\n{line}\n{end}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }

    // A dead process stays visible until its parent has reaped it.
    private static bool IsAlive(int pid) =>
        File.Exists($"/proc/{pid}/status") && !File.ReadAllText($"/proc/{pid}/status").Contains("State:\tZ");

    private static int ParentOf(int pid) =>
        int.Parse(File.ReadLines($"/proc/{pid}/status").Single(line => line.StartsWith("PPid:")).Split('\t')[1]);

    private static (int Code, string Output, string Error) Success((int Code, string Output, string Error) result)
    {
        Assert.True(result.Code == 0, $"exit code {result.Code}: {result.Error}");
        return result;
    }

    [GeneratedRegex(@"^\(\d\d\.\d{6}\) \S")]
    private static partial Regex LogLine();
}
