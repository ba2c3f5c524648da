using CriuPS.Engine.Errors;

namespace CriuPS.Criu.Rpc;

/// <summary>A request that the service cannot take: it is malformed, out of order, or asks for what its sender may not.</summary>
/// <param name="message">One sentence for the client.</param>
/// <param name="kind">What kind of failure it is.</param>
internal sealed class RpcException(string message, CriuErrorKind kind = CriuErrorKind.BadOption) : CriuException("BadRequest", kind, message);
