namespace CriuPS.Engine.Kernel;

/// <summary>
/// A descriptor of ours that lives no longer than a block of code: thousands of them, each for a few calls, would cost more as objects that the collector
/// has to watch.
/// </summary>
/// <param name="number">An open descriptor, which this owns; negative for none.</param>
internal readonly ref struct BorrowedDescriptor(int number) : IDisposable
{
    /// <summary>The descriptor; negative for none.</summary>
    public int Number => number;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (number >= 0)
        {
            // close(2): the number is free again whatever is returned.
            Syscall.Invoke(SyscallNumber.close, number);
        }
    }
}
