using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>readlinkat(2).</summary>
internal static class ReadLink
{
    /// <summary>Reads the text of a symbolic link, not ended by a zero byte.</summary>
    /// <param name="directory">Where the path starts.</param>
    /// <param name="path">The link's path, ended by a zero byte.</param>
    /// <param name="buffer">Takes the text; one that is filled to its end may have been cut.</param>
    /// <returns>The number of bytes, or minus an errno.</returns>
    public static unsafe long Read(SafeFileHandle directory, ReadOnlySpan<byte> path, Span<byte> buffer)
    {
        using var hold = new DescriptorHold(directory);
        fixed (byte* link = path, target = buffer)
        {
            return Syscall.Invoke(SyscallNumber.readlinkat, hold.Number, (long)link, (long)target, buffer.Length);
        }
    }
}
