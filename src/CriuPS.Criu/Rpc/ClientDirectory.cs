using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Rpc;

/// <summary>
/// A directory that a client gives as a number of its own descriptor table. It is opened once, at the beginning: the client may close it, or be
/// what is dumped.
/// </summary>
internal sealed class ClientDirectory : IDisposable
{
    private readonly SafeFileHandle _handle;

    private ClientDirectory(SafeFileHandle handle)
    {
        _handle = handle;
        Path = ShortPath(handle);
    }

    /// <summary>A path by which this process reaches it for as long as this object lives.</summary>
    public string Path { get; }

    /// <summary>Opens the directory behind a descriptor of a client.</summary>
    /// <param name="pid">The client.</param>
    /// <param name="number">The number in its table.</param>
    /// <param name="field">The field of the request, for errors.</param>
    /// <exception cref="RpcException">There is no such descriptor, or it is no directory.</exception>
    public static ClientDirectory Open(int pid, int number, string field)
    {
        string path = $"/proc/{pid}/fd/{number}";
        SafeFileHandle? handle = OpenAt.TryOpen(null, CString.From(path), OpenAt.O_RDONLY | OpenAt.O_DIRECTORY, out int errno);
        return handle is not null
            ? new ClientDirectory(handle)
            : throw new RpcException($"{field} {number} of process {pid} cannot be opened as a directory: {Errno.Describe(errno)}");
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    // Its own path where that leads to it from here, because messages show it; else the one that always does.
    private static string ShortPath(SafeFileHandle handle)
    {
        string always = $"/proc/self/fd/{handle.DangerousGetHandle()}";
        FileStatus.stat opened = FileStatus.Of(handle);
        return new FileInfo(always).LinkTarget is { } path && FileStatus.TryOf(path, out FileStatus.stat named, out _)
            && named.st_dev == opened.st_dev && named.st_ino == opened.st_ino
            ? path
            : always;
    }
}
