using System.Diagnostics;
using CriuPS.Engine.Images;
using CriuPS.Tests.Images;
using CriuPS.Tests.Rpc;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Tun and tap devices (tests/targets/tunnels.c). Target and criu live in a network namespace that is made for the test.</summary>
public sealed class TunnelTests
{
    // What iproute2 tells of the devices, without what depends on their neighbours in time.
    private const string Functions = """
        links() { ip -d -o link | grep -o 'cr[a-z]*: .*' | sed 's/ qdisc [a-z_]*//; s/ state [A-Z]*//'; }
        begin() {
            for fd in $(ls /proc/self/fd); do [ $fd -gt 2 ] && eval "exec $fd>&-"; done
            setsid --fork sh -c 'echo $$ >pid; exec "$0" "$PWD/status" </dev/null >>log 2>&1' "$1"
            until grep -q . status 2>/dev/null; do sleep 0.05; done
            pid=$(cat pid)
            mkdir -p images
        }
        dump() { links >before; "$criu" dump -t $pid -D images -v0 || exit 1; while kill -0 $pid 2>/dev/null; do sleep 0.05; done; }
        restore() { "$criu" restore -d -D images -v0 || exit 1; links >after; diff before after || exit 1; }
        finish() {
            kill -TERM $pid
            until tail -n1 status | grep -q '^ok\|^fail'; do sleep 0.05; done
            cat status
            while kill -0 $pid 2>/dev/null; do sleep 0.05; done
            links
        }
        end() { kill -KILL $pid; while kill -0 $pid 2>/dev/null; do sleep 0.05; done; }

        """;

    [Theory]
    [InlineData("dump; links | cut -d: -f1; restore", "crtap\nready\nok")]
    [InlineData("dump; ip link del crtap; restore; dump; restore", "ready\nok")]
    [InlineData("dump; ip link del crtap; restore; end; links | cut -d: -f1; restore", "crtap\nready\nok")]
    public void Devices_and_their_files_come_back(string steps, string said) => Assert.Equal(said, Run($"{steps}; finish"));

    [Theory]
    [InlineData("ip tuntap add dev crtun mode tap", "crtun")]
    [InlineData("ip tuntap add dev crqueues mode tun", "crqueues")]
    [InlineData("ip link add other index 2 type bridge", "crtun", "other")]
    public void A_name_or_number_that_another_device_has_is_an_error_before_anything_is_started(string change, string name, string? added = null)
    {
        const string Try = "$criu restore -d -D images -v1 2>&1; echo $?; [ -e /proc/$pid ] && echo started";
        string said = Run($"dump; {change}; {Try}; ip link del {added ?? name}; restore; finish");
        Assert.Contains($"network device {name}", said);
        Assert.EndsWith("\n1\nready\nok", said);
    }

    [Fact]
    public void A_filter_is_refused()
    {
        string said = Run("$criu dump -t $pid -D images -v1 2>&1; echo $?; finish", "FILTER=1");
        Assert.Contains("crtap has a filter", said);
        Assert.EndsWith("\n1\nready\nok", said);
    }

    private static string Run(string steps, string environment = "")
    {
        using TemporaryDirectory folder = new();
        string script = $"cd {folder.Path}\ncriu={RpcServer.Program}\n{Functions}{environment} begin {Target.PathOf("tunnels")}\n{steps}\n";
        ProcessStartInfo start = new("unshare", ["-n", "bash", "-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process run = Process.Start(start)!;
        Task<string> output = run.StandardOutput.ReadToEndAsync(), error = run.StandardError.ReadToEndAsync();
        Assert.True(run.WaitForExit(TimeSpan.FromSeconds(60)), "it does not end");
        Assert.True(run.ExitCode == 0, $"{output.Result}\n{error.Result}");
        return output.Result.Trim();
    }
}
