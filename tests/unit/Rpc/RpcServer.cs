using System.Diagnostics;
using System.Net.Sockets;
using CriuPS.Criu.Rpc;
using Xunit;

namespace CriuPS.Tests.Rpc;

/// <summary>The service as a process of its own, on a socket in a directory of its own.</summary>
public sealed class RpcServer : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly Process _process;

    public RpcServer()
    {
        Folder = Directory.CreateTempSubdirectory("criups-rpc-").FullName;
        _process = Process.Start(new ProcessStartInfo(Program, ["service", "--address", Address, "-W", Folder, "-o", "service.log"]))!;
        Wait(() => File.Exists(Address), "the socket of the service");
    }

    /// <summary>The program under test, as the build of the tests has made it.</summary>
    public static string Program => Path.Join(Path.GetDirectoryName(typeof(RpcService).Assembly.Location), "criu");

    public string Folder { get; }

    public string Address => Path.Join(Folder, "socket");

    public int Pid => _process.Id;

    /// <summary>A connection with it.</summary>
    /// <param name="bufferSize">Bytes of a packet that the kernel must be able to take; 0 for its default.</param>
    internal RpcClient Connect(int bufferSize = 0)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        if (bufferSize > 0)
        {
            socket.SendBufferSize = bufferSize;
        }

        socket.Connect(new UnixDomainSocketEndPoint(Address));
        return new RpcClient(socket);
    }

    /// <summary>The pids of its workers.</summary>
    public string[] Workers() => File.ReadAllText($"/proc/{Pid}/task/{Pid}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Waits until something is so.</summary>
    public static void Wait(Func<bool> isSo, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!isSo())
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < s_patience, $"{what} did not come");
            Thread.Sleep(10);
        }
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}
