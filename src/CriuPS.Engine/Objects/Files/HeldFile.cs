using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The very open file behind a descriptor of a process that stands still. What has been read at the first look is enough for most: the file is only got
/// (pidfd_getfd(2)) when somebody asks for it.
/// </summary>
/// <param name="pidfd">The process; it stays the caller's.</param>
/// <param name="fd">The descriptor's number there.</param>
internal sealed class HeldFile(SafeFileHandle pidfd, int fd) : IDisposable
{
    private SafeFileHandle? _handle;

    /// <summary>The file; it stays this object's.</summary>
    /// <exception cref="Errors.KernelException">It cannot be got.</exception>
    public SafeFileHandle Handle => _handle ??= PidFd.GetFd(pidfd, fd);

    public void Dispose() => _handle?.Dispose();
}
