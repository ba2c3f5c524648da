using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Names that exist for a moment: each is made only where there is nothing yet, together with the directories above it that are missing, and all
/// are removed again, the last one first.
/// </summary>
internal sealed class TemporaryNames : IDisposable
{
    private const uint OwnerOnly = 0x1c0;

    private readonly Stack<(byte[] Path, bool IsDirectory)> _made = new();

    /// <summary>Makes a name, or, where it is taken, one with a suffix.</summary>
    /// <param name="wanted">The name.</param>
    /// <param name="suffix">What is added to one that is taken.</param>
    /// <param name="make">Makes it; gives 0 or an errno.</param>
    /// <param name="isDirectory">Whether it makes a directory.</param>
    /// <returns>The name that was made.</returns>
    /// <exception cref="KernelException">It cannot be made.</exception>
    public byte[] Make(byte[] wanted, string suffix, Func<byte[], int> make, bool isDirectory)
    {
        MakeDirectoriesAbove(wanted);
        byte[] path = wanted;
        int errno = make(path);
        if (errno == Errno.EEXIST)
        {
            path = [.. wanted, .. System.Text.Encoding.UTF8.GetBytes(suffix)];
            errno = make(path);
        }

        if (errno != 0)
        {
            string shown = Show(path);
            throw new KernelException($"making {shown}", errno) { Subject = shown, Remedy = "make its file system writable" };
        }

        _made.Push((path, isDirectory));
        return path;
    }

    /// <summary>Removes names that were meant for a time only, whoever made them.</summary>
    /// <returns>A failure for each that could not be removed.</returns>
    public static IReadOnlyList<KernelException> RemoveEach(IEnumerable<byte[]> paths)
    {
        List<KernelException> failures = [];
        foreach (byte[] path in paths)
        {
            if (FileNames.TryUnlink(path) is not 0 and int errno)
            {
                failures.Add(NotRemoved(path, errno));
            }
        }

        return failures;
    }

    /// <summary>Removes everything that was made.</summary>
    /// <exception cref="KernelException">A name could not be removed; the others were.</exception>
    public void Remove()
    {
        KernelException? failure = null;
        while (_made.TryPop(out (byte[] Path, bool IsDirectory) made))
        {
            int errno = made.IsDirectory ? FileNames.TryRemoveDirectory(made.Path) : FileNames.TryUnlink(made.Path);
            if (errno is not 0 and not Errno.ENOENT)
            {
                failure = NotRemoved(made.Path, errno);
            }
        }

        if (failure is not null)
        {
            throw failure;
        }
    }

    /// <summary>Removes what is left after a failure.</summary>
    public void Dispose() => Remove();

    private static KernelException NotRemoved(byte[] path, int errno) =>
        new($"removing {Show(path)}", errno) { Subject = Show(path), Remedy = "remove it by hand" };

    private static string Show(byte[] path) => new Proc.OsText(path).ToDisplayString();

    private void MakeDirectoriesAbove(byte[] path)
    {
        for (int end = Array.IndexOf(path, (byte)'/', 1); end > 0; end = Array.IndexOf(path, (byte)'/', end + 1))
        {
            byte[] above = path[..end];
            if (!FileStatus.TryOf(above, out _, out int errno) && errno == Errno.ENOENT && FileNames.TryMakeDirectory(above, OwnerOnly) == 0)
            {
                _made.Push((above, true));
            }
        }
    }
}
