using System.Net.Sockets;
using CriuPS.Criu.Rpc;
using Google.Protobuf;
using Xunit;

namespace CriuPS.Tests.Rpc;

/// <summary>The other end of a connection: what a client of the service does.</summary>
internal sealed class RpcClient(Socket socket) : IDisposable
{
    public void Send(byte[] packet) => socket.Send(packet);

    public void Send(CriuReq request) => Send(request.ToByteArray());

    /// <summary>The next response; null when the worker has gone.</summary>
    public CriuResp? Receive()
    {
        byte[] buffer = new byte[RpcConnection.LargestRequest];
        int length = socket.Receive(buffer);
        return length == 0 ? null : CriuResp.Parser.ParseFrom(buffer, 0, length);
    }

    /// <summary>Asks, answers every notification, and gives back the response.</summary>
    /// <param name="request">The request.</param>
    /// <param name="agree">What to answer to a notification; null where none is expected.</param>
    public CriuResp Ask(CriuReq request, Func<CriuNotify, bool>? agree = null)
    {
        Send(request);
        while (true)
        {
            CriuResp response = Receive() ?? throw new EndOfStreamException("the worker went away without a response");
            if (response.Type != CriuReqType.Notify || agree is null)
            {
                return response;
            }

            Assert.True(response.Success);
            Send(new CriuReq { Type = CriuReqType.Notify, NotifySuccess = agree(response.Notify) });
        }
    }

    public void Dispose() => socket.Dispose();
}
