using System.Diagnostics;
using System.Globalization;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Running;

/// <summary>This program once more, in a process of its own that inherits one descriptor.</summary>
internal static class OwnProgram
{
    /// <summary>Starts it.</summary>
    /// <param name="command">The command; the number of the descriptor follows it.</param>
    /// <param name="inherited">The descriptor, which loses close-on-exec for it. It stays the caller's too.</param>
    /// <param name="words">What follows the number.</param>
    /// <returns>The pid of the new process.</returns>
    /// <exception cref="System.ComponentModel.Win32Exception">It cannot be started.</exception>
    public static int Start(string command, SafeFileHandle inherited, params ReadOnlySpan<string> words)
    {
        Fcntl.Control(inherited, Fcntl.F_SETFD, 0);
        string number = ((int)inherited.DangerousGetHandle()).ToString(CultureInfo.InvariantCulture);
        ProcessStartInfo start = new(Environment.ProcessPath!, [command, number, .. words]) { UseShellExecute = false };
        using Process process = Process.Start(start)!;
        return process.Id;
    }
}
