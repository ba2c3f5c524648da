using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// Keeps a descriptor open while its bare number is inside a system call: without it a Dispose on another thread could close the number
/// and the kernel could hand the same one to somebody else in between.
/// </summary>
internal readonly ref struct DescriptorHold : IDisposable
{
    private readonly SafeFileHandle _handle;

    /// <param name="handle">An open descriptor.</param>
    /// <exception cref="ObjectDisposedException">It is closed already.</exception>
    public DescriptorHold(SafeFileHandle handle)
    {
        _handle = handle;
        bool added = false;
        handle.DangerousAddRef(ref added);
        Number = (int)handle.DangerousGetHandle();
    }

    /// <summary>The descriptor's number, valid until this is disposed.</summary>
    public int Number { get; }

    /// <inheritdoc/>
    public void Dispose() => _handle.DangerousRelease();
}
