using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Tests.Rpc;

/// <summary>Requests about an image directory, which the service takes by its number in our table.</summary>
internal sealed class RpcRequest : IDisposable
{
    private readonly SafeFileHandle _images;

    public RpcRequest(string images)
    {
        Directory.CreateDirectory(images);
        _images = OpenAt.Open(images, OpenAt.O_RDONLY | OpenAt.O_DIRECTORY);
    }

    private int Number => (int)_images.DangerousGetHandle();

    public CriuReq Dump(int pid, Action<CriuOpts>? more = null) => With(CriuReqType.Dump, options =>
    {
        options.Pid = pid;
        more?.Invoke(options);
    });

    public CriuReq Restore(Action<CriuOpts>? more = null) => With(CriuReqType.Restore, more);

    public CriuReq With(CriuReqType type, Action<CriuOpts>? more = null)
    {
        CriuOpts options = new() { ImagesDirFd = Number, LogLevel = 4 };
        more?.Invoke(options);
        return new CriuReq { Type = type, Opts = options };
    }

    public void Dispose() => _images.Dispose();
}
