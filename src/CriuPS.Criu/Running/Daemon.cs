using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Running;

/// <summary>A server in the background: the same program once more, with a socket that listens already, in a session of its own.</summary>
internal static class Daemon
{
    /// <summary>Starts this program again.</summary>
    /// <param name="command">The command of the daemon.</param>
    /// <param name="inherited">A descriptor that the daemon inherits; its number follows the command. It stays the caller's too.</param>
    /// <param name="options">Where it works and what it logs.</param>
    /// <returns>The pid of the new process.</returns>
    public static int Start(string command, SafeFileHandle inherited, CriuOptions options) => OwnProgram.Start(
        command,
        inherited,
        [
            "--no-default-config", "--images-dir", options.ImagesDirectory, "--work-dir", options.WorkDirectory!,
            $"--verbosity={options.LogLevel}", .. options.LogFile is { } log ? ["--log-file", log] : Array.Empty<string>(),
        ]);

    /// <summary>Leaves session and standard streams of whoever started the daemon.</summary>
    public static void Detach()
    {
        Syscall.Invoke(SyscallNumber.setsid);
        using SafeFileHandle nothing = OpenAt.Open("/dev/null", OpenAt.O_RDWR);
        for (int stream = 0; stream < StandardStreams.Count; stream++)
        {
            StandardStreams.Replace(stream, nothing);
        }
    }
}
