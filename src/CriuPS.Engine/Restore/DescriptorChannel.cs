using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Sends open files of ours into a newborn over a socket whose other end it holds. The kernel gives them the lowest free numbers, in order; because
/// every number below a wanted one is either wanted too or free, a file never lands above its place.
/// </summary>
internal sealed class DescriptorChannel : IDisposable
{
    private const int Everything = int.MaxValue;

    private readonly RemoteBatch _batch;
    private readonly FilesUnderway _underway;
    private readonly int _far;
    private (int First, int Second) _pair;
    private SafeFileHandle? _near;

    private DescriptorChannel(RemoteBatch batch, FilesUnderway underway, int far)
    {
        _batch = batch;
        _underway = underway;
        _far = far;
    }

    /// <summary>Closes everything the newborn inherited and lets it make a pair of sockets; when that has run, <see cref="Connect"/> comes.</summary>
    /// <param name="batch">The newborn.</param>
    /// <param name="underway">What is on its way to newborns.</param>
    /// <param name="number">Where its end shall be: no number of the saved table.</param>
    public static DescriptorChannel Open(RemoteBatch batch, FilesUnderway underway, int number)
    {
        DescriptorChannel channel = new(batch, underway, number);
        SyscallProgram program = batch.Room(2, 16);
        ulong pair = program.Reserve(8);
        program.Add("close_range", SyscallNumber.close_range, 0, Everything, 0);
        program.Add("socketpair", SyscallNumber.socketpair, UnixSocket.AF_UNIX, UnixSocket.SOCK_SEQPACKET | UnixSocket.SOCK_CLOEXEC, 0, pair);
        batch.Then(answers => channel._pair = (answers.Read<int>(pair), answers.Read<int>(pair + sizeof(int))));
        return channel;
    }

    /// <summary>Takes our end of the pair and puts the newborn's in its place.</summary>
    public void Connect()
    {
        (int first, int second) = _pair;
        using SafeFileHandle pidfd = PidFd.Open(_batch.Task.Pid);
        _near = PidFd.GetFd(pidfd, second);
        _batch.Add("close", SyscallNumber.close, second);
        if (first != _far)
        {
            _batch.Room(2).AddMove(first, _far, closeOnExec: true);
        }
    }

    /// <summary>The number of the newborn's end.</summary>
    public int Number => _far;

    /// <summary>The same channel for another process that has the same descriptor table.</summary>
    public DescriptorChannel For(RemoteBatch batch) => new(batch, _underway, _far) { _near = _near };

    /// <summary>Our end, for a thread that does not have our table of descriptors.</summary>
    public SafeFileHandle OpenAgain()
    {
        using SafeFileHandle process = PidFd.Open(Environment.ProcessId);
        using DescriptorHold near = new(_near!);
        return PidFd.GetFd(process, near.Number);
    }

    /// <summary>Sends files, which need not be kept; the newborn receives them when its batch runs.</summary>
    public RemoteDescriptor[] Send(IReadOnlyList<SafeFileHandle> files)
    {
        List<RemoteDescriptor> sent = [];
        foreach (SafeFileHandle[] part in files.Chunk(UnixSocket.SCM_MAX_FD))
        {
            _underway.Add(_batch, part.Length);
            sent.AddRange(_batch.Receive(_far, part.Length));
            UnixSocket.SendDescriptors(_near!, [.. part.Select(file => (int)file.DangerousGetHandle())]);
        }

        return [.. sent];
    }

    /// <summary>Puts files that were sent, and have been received, at their numbers; both lists are in ascending order of the numbers.</summary>
    public void Place(IReadOnlyList<RemoteDescriptor> sent, IReadOnlyList<(int Number, bool CloseOnExec)> places)
    {
        for (int i = sent.Count - 1; i >= 0; i--)
        {
            _batch.Room(2).AddPlacing(sent[i].Value, places[i].Number, places[i].CloseOnExec);
        }
    }

    /// <summary>Adds the closing of the newborn's end.</summary>
    public void AddClose() => _batch.Add("close of the restorer's socket", SyscallNumber.close, _far);

    public void Dispose() => _near?.Dispose();
}
