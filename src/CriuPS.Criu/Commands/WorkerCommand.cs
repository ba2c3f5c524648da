using System.Globalization;
using CriuPS.Criu.Rpc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Commands;

/// <summary>criu swrk FD: serves the client at the other end of a socket that this program was started with.</summary>
internal static class WorkerCommand
{
    /// <summary>The word for it.</summary>
    public const string Name = "swrk";

    /// <summary>Serves; the result is the exit code, or null where the words after the command are wrong.</summary>
    public static int? Run(string[] words)
    {
        if (words is not [var number, .. var mark] || mark is not ([] or [RpcService.WorkerMark])
            || !int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int descriptor))
        {
            return null;
        }

        using RpcConnection client = new(new SafeFileHandle(descriptor, ownsHandle: true));
        return new RpcWorker(client, standalone: mark is not []).Run();
    }
}
