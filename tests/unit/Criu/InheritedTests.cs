using System.Diagnostics;
using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using CriuPS.Tests.Images;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace CriuPS.Tests.Criu;

/// <summary>Files that are not saved: descriptors of the restore's caller take their places.</summary>
public sealed class InheritedTests
{
    // Answers each line of its input, on its output and in a file that it has as descriptor 5.
    private const string Program = """
        for fd in /proc/self/fd/*; do fd=${fd##*/}; if [ $fd -gt 2 ]; then eval "exec $fd>&-"; fi; done
        exec 2>/dev/null 5>>"$0"
        while read -r line; do echo "got $line" >&5; echo "got $line"; done
        """;

    [Fact]
    public void Pipes_to_other_processes_are_replaced()
    {
        using TemporaryDirectory folder = new();
        using Answerer program = new(folder["seen"]);
        string input = program.LinkOf(0), output = program.LinkOf(1);
        Dump(program, folder);
        FilesChangedException refused = Assert.Throws<FilesChangedException>(() => new RestoreOperation(new RestoreOptions { ImagesDirectory = folder.Path }).Run());
        Assert.All(refused.Mismatches, mismatch => Assert.Contains("outside of the tree", mismatch.Reason));
        Assert.Equal(2, refused.Mismatches.Count);
        Restored(folder, input, output);
        Assert.Equal("got one\ngot two\n", File.ReadAllText(folder["seen"]));
    }

    [Fact]
    public void Pipes_to_other_processes_come_back_without_them_if_nothing_replaces_them()
    {
        using TemporaryDirectory folder = new();
        using Answerer program = new(folder["seen"]);
        string input = program.LinkOf(0), output = program.LinkOf(1);
        Dump(program, folder);
        (int code, _, string error) = CriuProgram.Run("restore", "-d", "-D", folder.Path, "--leave-stopped", "--pidfile", "pid");
        Assert.True(code == 0, error);
        Assert.Contains($"{input} comes back without its other end", error);
        Assert.Contains($"{output} comes back without its other end", error);

        // It reads the end of its input, and leaves.
        using SafeFileHandle pidfd = PidFd.Open(int.Parse(File.ReadAllText(folder["pid"])));
        PidFd.SendSignal(pidfd, Signals.SIGCONT);
        Assert.NotEqual(0, Poll.Wait(pidfd, Poll.POLLIN, 30_000));
    }

    [Fact]
    public void A_pipe_that_replaces_another_is_as_the_program_had_it()
    {
        using TemporaryDirectory folder = new();
        using Answerer program = new(folder["seen"]);
        string input = program.LinkOf(0), output = program.LinkOf(1);
        using (SafeFileHandle process = PidFd.Open(program.Pid))
        using (SafeFileHandle itsOutput = PidFd.GetFd(process, 1))
        {
            Fcntl.Control(itsOutput, Fcntl.F_SETFL, Fcntl.O_NONBLOCK);
        }

        Dump(program, folder);
        Restored(folder, input, output, examine: (pid, ours) =>
        {
            using SafeFileHandle process = PidFd.Open(pid);
            using SafeFileHandle itsOutput = PidFd.GetFd(process, 1);
            Assert.Equal(Fcntl.O_NONBLOCK, Fcntl.Control(itsOutput, Fcntl.F_GETFL) & Fcntl.O_NONBLOCK);
            Assert.Equal(0, Fcntl.Control(ours, Fcntl.F_GETFL) & Fcntl.O_NONBLOCK);
        });
    }

    [Theory]
    [InlineData("external")]
    [InlineData("path")]
    [InlineData("path without a slash")]
    public void A_file_is_replaced(string named)
    {
        using TemporaryDirectory folder = new();
        using Answerer program = new(folder["seen"]);
        string input = program.LinkOf(0), output = program.LinkOf(1);
        string name = named switch { "external" => program.NameOf(5), "path" => folder["seen"], _ => folder["seen"][1..] };
        string[] more = named == "external" ? ["--external", name] : [];
        Dump(program, folder, more);
        File.Delete(folder["seen"]);
        using (SafeFileHandle other = File.OpenHandle(folder["other"], FileMode.Create, FileAccess.Write))
        {
            Fcntl.Control(other, Fcntl.F_SETFD, 0);
            Restored(folder, input, output, ["--inherit-fd", $"fd[{other.DangerousGetHandle()}]:{name}"]);
        }

        Assert.Equal("got two\n", File.ReadAllText(folder["other"]));
        Assert.False(File.Exists(folder["seen"]));
    }

    [Theory]
    [InlineData("fd[999]:x", "fd 999")]
    public void A_descriptor_that_is_not_open_is_a_mistake(string value, string named)
    {
        using TemporaryDirectory folder = new();
        using Answerer program = new(folder["seen"]);
        Dump(program, folder);
        (int code, _, string error) = CriuProgram.Run("restore", "-d", "-D", folder.Path, "--inherit-fd", value);
        Assert.Equal(1, code);
        Assert.Contains(named, error);
    }

    private static void Dump(Answerer program, TemporaryDirectory folder, params string[] more)
    {
        Assert.Equal("got one", program.Ask("one"));
        (int code, _, string error) = CriuProgram.Run(["dump", "-t", $"{program.Pid}", "-D", folder.Path, .. more]);
        Assert.True(code == 0, error);
        program.Reap();
    }

    // Brings it back with pipes of ours, and lets it answer once more; before, it may be examined, with the end of its output that we gave.
    private static void Restored(TemporaryDirectory folder, string input, string output, string[]? more = null, Action<int, SafeFileHandle>? examine = null)
    {
        (SafeFileHandle theirInput, SafeFileHandle ourOutput) = Fcntl.Pipe(0);
        (SafeFileHandle ourInput, SafeFileHandle theirOutput) = Fcntl.Pipe(0);
        using (theirInput)
        using (ourOutput)
        using (ourInput)
        using (theirOutput)
        {
            Fcntl.Control(theirInput, Fcntl.F_SETFD, 0);
            Fcntl.Control(theirOutput, Fcntl.F_SETFD, 0);
            (int code, _, string error) = CriuProgram.Run(
            [
                "restore", "-d", "-D", folder.Path, "--pidfile", "pid", "--inherit-fd", $"fd[{theirInput.DangerousGetHandle()}]:{input}",
                "--inherit-fd", $"fd[{theirOutput.DangerousGetHandle()}]:{output}", .. more ?? [],
            ]);
            Assert.True(code == 0, error);
            int pid = int.Parse(File.ReadAllText(folder["pid"]));
            examine?.Invoke(pid, theirOutput);
            Syscall.Check(Fcntl.Write(ourOutput, "two\n"u8), "write");
            byte[] answer = new byte[64];
            int length = (int)Syscall.Check(FileRead.Read(ourInput, answer), "read");
            Assert.Equal("got two\n", Encoding.ASCII.GetString(answer, 0, length));
            Signals.Kill(pid, Signals.SIGKILL);
        }
    }

    private sealed class Answerer : IDisposable
    {
        private readonly Process _process;

        public Answerer(string file)
        {
            ProcessStartInfo start = new("setsid", ["bash", "-c", Program, file]) { RedirectStandardInput = true, RedirectStandardOutput = true };
            _process = Process.Start(start)!;
        }

        public int Pid => _process.Id;

        public string Ask(string question)
        {
            _process.StandardInput.WriteLine(question);
            return _process.StandardOutput.ReadLine()!;
        }

        public string LinkOf(int fd) => new FileInfo($"/proc/{Pid}/fd/{fd}").LinkTarget!;

        /// <summary>The name of an external file.</summary>
        public string NameOf(int fd)
        {
            Assert.Equal("got zero", Ask("zero"));
            string[] lines = File.ReadAllLines($"/proc/{Pid}/fdinfo/{fd}");
            string Number(string key) => long.Parse(lines.Single(line => line.StartsWith(key)).Split('\t')[1]).ToString("x");
            return $"file[{Number("mnt_id:")}:{Number("ino:")}]";
        }

        public void Reap() => Assert.True(_process.WaitForExit(TimeSpan.FromSeconds(60)));

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.Dispose();
        }
    }
}
