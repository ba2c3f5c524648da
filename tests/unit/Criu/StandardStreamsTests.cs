using System.Diagnostics;
using CriuPS.Tests.Checkpoint;
using CriuPS.Tests.Images;
using CriuPS.Tests.Rpc;
using Xunit;

namespace CriuPS.Tests.Criu;

/// <summary>Standard streams that are closed, full or lent: libraries start criu without them, and scripts use them.</summary>
public sealed class StandardStreamsTests
{
    [Theory]
    [InlineData("frobnicate 2>&-", 1)]
    [InlineData("frobnicate 2>/dev/full", 1)]
    [InlineData("check --feature list >&-", 0)]
    [InlineData("check --feature list >/dev/full", 1)]
    [InlineData("check --feature mnt_id <&- >&- 2>&-", 0)]
    [InlineData("frobnicate <&- >&- 2>&-", 1)]
    [InlineData("check --feature mnt_id -v4 2>/dev/full", 0)]
    public void TheExitCodeIsWhatItWouldBe(string line, int code)
    {
        using TemporaryDirectory folder = new();
        using Process process = Process.Start("bash", ["-c", $"cd '{folder.Path}' && exec '{RpcServer.Program}' {line}"]);
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)));
        Assert.Equal(code, process.ExitCode);
    }

    [Fact]
    public void WhatScriptsSayIsInTheLogAndTheyHaveNothingToRead()
    {
        using Target target = Target.Start("registers");
        Directory.CreateDirectory(target.Images);
        string script = Path.Join(target.Folder, "script");
        File.WriteAllText(script, "#!/bin/sh\necho output of $CRTOOLS_SCRIPT_ACTION\necho error of $CRTOOLS_SCRIPT_ACTION >&2\ncat\n");
        File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        (int code, string output, string error) = CriuProgram.Run(
            "dump", "-t", $"{target.Pid}", "-D", target.Images, "--action-script", script, "-v4", "-o", "dump.log");
        Assert.Equal((0, "", ""), (code, output, error));
        string[] log = File.ReadAllLines(Path.Join(target.Images, "dump.log"));
        int[] places = [.. new[] { "output of pre-dump", "error of pre-dump", "output of post-dump", "error of post-dump" }.Select(line => Array.IndexOf(log, line))];
        Assert.DoesNotContain(-1, places);
        Assert.Equal(places.Order(), places);
        Assert.EndsWith("running " + script + " at pre-dump", log[places[0] - 1]);
        CriuProgram.Run("restore", "-d", "-D", target.Images);
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void ACommandInTheParentsPlaceIsEndedByABrokenPipe()
    {
        using Target target = Target.Start("registers");
        Directory.CreateDirectory(target.Images);
        Assert.Equal(0, CriuProgram.Run("dump", "-t", $"{target.Pid}", "-D", target.Images).Code);
        string script = $"kill -KILL {target.Pid}; grep SigIgn: /proc/self/status";
        (_, string output, _) = CriuProgram.Run("restore", "-D", target.Images, "--exec-cmd", "--", "sh", "-c", script);
        long ignored = Convert.ToInt64(output.Split('\t')[1].Trim(), 16);
        Assert.Equal(0, ignored & (1 << (13 - 1)));
    }
}
