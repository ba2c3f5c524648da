using CriuPS.Engine.Compel;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Memory;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Dump;

/// <summary>The writing of a process's pages by itself: part of as many of its programs as it takes.</summary>
/// <param name="pid">The process.</param>
/// <param name="file">The pages file.</param>
/// <param name="runs">What to write; runs that are not direct are left out.</param>
/// <param name="written">Told the bytes written after each program.</param>
internal sealed class PageWrites(int pid, SafeFileHandle file, IReadOnlyList<PageContent.Run> runs, Action<ulong> written)
{
    private const int MostRoom = 128 << 10, RoomOfReceipt = 1024, RoomOfRun = 16 + SyscallProgram.OperationSize;

    private DescriptorReceipt? _receipt;
    private Argument _number;
    private List<(Operation Write, ulong Bytes)> _writes = [];
    private int _next;

    /// <summary>Bytes that a program needs for all that one should do.</summary>
    public int Room => (int)Math.Min(MostRoom, RoomOfReceipt + (long)runs.Count * RoomOfRun);

    /// <summary>Whether all is written, and the process's descriptor of the file closed, when the program has run.</summary>
    public bool IsLast => _next >= runs.Count;

    /// <summary>Adds as many writes as fit to a program of the process's leader.</summary>
    /// <param name="parasite">The parasite in the process.</param>
    /// <param name="program">The program.</param>
    /// <param name="cancellation">Whether these writes shall be the last in any case.</param>
    public void AddTo(Parasite parasite, SyscallProgram program, CancellationToken cancellation)
    {
        if (_receipt is null)
        {
            UnixSocket.SendDescriptors(parasite.Socket, [(int)file.DangerousGetHandle()]);
            _receipt = DescriptorReceipt.Add(program, parasite.RemoteSocket, 1, UnixSocket.MSG_CMSG_CLOEXEC, "the pages file");
            _number = _receipt.Value.First;
        }

        _writes = PageContent.AddWrites(program, _number, runs, ref _next);
        if (cancellation.IsCancellationRequested)
        {
            _next = runs.Count;
        }

        if (IsLast)
        {
            program.Try("close of the pages file", SyscallNumber.close, _number);
        }
    }

    /// <summary>Looks at what came of the writes of a program that has run, and tells of it.</summary>
    /// <returns>Why one of them failed; null where all are done.</returns>
    public RemoteCallException? Finish(SyscallProgram program)
    {
        if (_number.Kind != Argument.Constant)
        {
            // The next program has other data where the answer to this one is.
            _number = _receipt!.Value.Numbers(program) is [int number] ? number : -1;
        }

        foreach ((Operation write, ulong bytes) in _writes)
        {
            long result = program.Result(write);
            if ((ulong)result != bytes)
            {
                int errno = Syscall.IsError(result) ? (int)-result : Errno.ENOSPC;
                return new RemoteCallException(pid, "write of memory pages", errno) { Remedy = ImageWriter.RemedyFor(errno) };
            }
        }

        _writes.ForEach(write => written(write.Bytes));
        return null;
    }

    /// <summary>Adds the closing of the process's descriptor of the file, after a failure.</summary>
    public void AddClose(SyscallProgram program) => program.Try("close of the pages file", SyscallNumber.close, _number);
}
