using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Rpc;

/// <summary>The connection with one client: a packet of the socket holds one message.</summary>
/// <param name="socket">The socket; the connection owns it.</param>
internal sealed class RpcConnection(SafeFileHandle socket) : IDisposable
{
    /// <summary>A request with more bytes is refused; real ones have some hundred.</summary>
    public const int LargestRequest = 1 << 18;

    private readonly byte[] _buffer = new byte[LargestRequest];

    /// <summary>Process and user that made the connection.</summary>
    public PacketSocket.ucred Peer { get; } = PacketSocket.Peer(socket);

    /// <summary>The inode of the client's end, by which its socket is known among the descriptors of a process.</summary>
    public uint PeerInode => UnixDiag.PeerOf(FileStatus.Of(socket).st_ino);

    /// <summary>Waits for the next request; null when the client has gone.</summary>
    /// <exception cref="RpcException">What came is no request.</exception>
    public CriuReq? Receive()
    {
        int length = PacketSocket.Receive(socket, _buffer);
        if (length == 0)
        {
            return null;
        }

        if (length > _buffer.Length)
        {
            throw new RpcException($"a request of {length} bytes is too large: at most {LargestRequest} are taken");
        }

        return Parse(_buffer.AsSpan(0, length));
    }

    /// <summary>Sends a response; false when the client has gone.</summary>
    public bool TrySend(CriuResp response) => PacketSocket.TrySend(socket, response.ToByteArray());

    /// <summary>A token that is cancelled when the client goes away while it is watched.</summary>
    public HangUpWatch WatchHangUp() => new(socket);

    /// <inheritdoc/>
    public void Dispose() => socket.Dispose();

    private static CriuReq Parse(ReadOnlySpan<byte> packet)
    {
        CriuReq request;
        try
        {
            request = CriuReq.Parser.ParseFrom(packet);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new RpcException($"a packet of {packet.Length} bytes is no request: {e.Message}");
        }

        return request.HasType ? request : throw new RpcException($"a packet of {packet.Length} bytes is no request: it names no type");
    }
}
