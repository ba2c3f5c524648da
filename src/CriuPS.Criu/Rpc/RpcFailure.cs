using System.Text;
using CriuPS.Criu.Line;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Criu.Rpc;

/// <summary>How a failure is told to a client: a text for people, and an error number that programs look at.</summary>
internal static class RpcFailure
{
    /// <summary>EBADRQC of include/uapi/asm-generic/errno.h: what clients know as "bad options".</summary>
    private const int EBADRQC = 56;

    private const int LongestMessage = 900;

    /// <summary>Marks a response as failed. Clients often receive into a buffer of 1024 bytes, so a long text is cut.</summary>
    public static CriuResp Describe(CriuResp response, Exception failure)
    {
        response.Success = false;
        response.CrErrmsg = Cut(Spelling.Describe(failure));
        if (ErrnoOf(failure) is { } errno)
        {
            response.CrErrno = errno;
        }

        return response;
    }

    private static string Cut(string message)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(message);
        return bytes.Length <= LongestMessage ? message : Encoding.UTF8.GetString(bytes, 0, LongestMessage).TrimEnd('\uFFFD') + " ...";
    }

    private static int? ErrnoOf(Exception failure) => failure switch
    {
        CriuException { Kind: CriuErrorKind.BadOption } => EBADRQC,
        CriuException { Id: "ProcessGone" } => Errno.ESRCH,
        CriuException { Kind: CriuErrorKind.NotSupported } => Errno.EOPNOTSUPP,
        CriuException { Errno: { } errno } => errno,
        CriuException { Kind: CriuErrorKind.AlreadyExists } => Errno.EEXIST,
        CriuException { Kind: CriuErrorKind.PermissionDenied } => Errno.EPERM,
        CriuException { Kind: CriuErrorKind.Timeout } => Errno.ETIMEDOUT,
        OperationCanceledException => Errno.ECANCELED,
        _ => null,
    };
}
