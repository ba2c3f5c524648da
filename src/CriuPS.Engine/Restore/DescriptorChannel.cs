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
    private readonly SafeFileHandle _near;
    private readonly int _far;

    private DescriptorChannel(RemoteBatch batch, SafeFileHandle near, int far)
    {
        _batch = batch;
        _near = near;
        _far = far;
    }

    /// <summary>Closes everything the newborn inherited and opens the channel.</summary>
    /// <param name="batch">The newborn.</param>
    /// <param name="number">Where its end shall be: no number of the saved table.</param>
    public static DescriptorChannel Open(RemoteBatch batch, int number)
    {
        using SafeFileHandle pidfd = PidFd.Open(batch.Task.Pid);
        batch.Run();
        SyscallProgram program = batch.Room(8, 16);
        ulong pair = program.Reserve(8);
        program.Add("close_range", SyscallNumber.close_range, 0, Everything, 0);
        program.Add("socketpair", SyscallNumber.socketpair, UnixSocket.AF_UNIX, UnixSocket.SOCK_SEQPACKET | UnixSocket.SOCK_CLOEXEC, 0, pair);
        batch.RunAndLoad();
        int first = program.Read<int>(pair), second = program.Read<int>(pair + sizeof(int));
        SafeFileHandle near = PidFd.GetFd(pidfd, second);
        program.Clear();
        program.Add("close", SyscallNumber.close, second);
        if (first != number)
        {
            program.Add("dup3", SyscallNumber.dup3, first, number, Fcntl.O_CLOEXEC);
            program.Add("close", SyscallNumber.close, first);
        }

        batch.Run();
        return new DescriptorChannel(batch, near, number);
    }

    /// <summary>The same channel for another process that has the same descriptor table.</summary>
    public DescriptorChannel For(RemoteBatch batch) => new(batch, _near, _far);

    /// <summary>Sends files; the result is their numbers in the newborn.</summary>
    public int[] Send(IReadOnlyList<SafeFileHandle> files)
    {
        int[] numbers = new int[files.Count];
        for (int done = 0; done < files.Count;)
        {
            int count = Math.Min(files.Count - done, UnixSocket.SCM_MAX_FD);
            int[] ours = new int[count];
            for (int i = 0; i < count; i++)
            {
                ours[i] = (int)files[done + i].DangerousGetHandle();
            }

            SendPart(ours, numbers.AsSpan(done, count));
            done += count;
        }

        return numbers;
    }

    /// <summary>Sends files and puts each at its number; both lists are in ascending order of the numbers.</summary>
    public void Place(IReadOnlyList<SafeFileHandle> files, IReadOnlyList<(int Number, bool CloseOnExec)> places)
    {
        for (int done = 0; done < files.Count;)
        {
            int count = Math.Min(files.Count - done, UnixSocket.SCM_MAX_FD);
            int[] landed = Send([.. files.Skip(done).Take(count)]);
            for (int i = count - 1; i >= 0; i--)
            {
                Put(landed[i], places[done + i]);
            }

            _batch.Run();
            done += count;
        }
    }

    /// <summary>Adds the closing of the newborn's end.</summary>
    public void AddClose() => _batch.Add("close of the restorer's socket", SyscallNumber.close, _far);

    public void Dispose() => _near.Dispose();

    private void Put(int landed, (int Number, bool CloseOnExec) place)
    {
        if (landed != place.Number)
        {
            _batch.Add($"dup3 to fd {place.Number}", SyscallNumber.dup3, landed, place.Number, place.CloseOnExec ? Fcntl.O_CLOEXEC : 0);
            _batch.Add("close", SyscallNumber.close, landed);
        }
        else if (place.CloseOnExec)
        {
            _batch.Add($"fcntl(F_SETFD) of fd {landed}", SyscallNumber.fcntl, landed, Fcntl.F_SETFD, Fcntl.FD_CLOEXEC);
        }
    }

    private void SendPart(int[] ours, Span<int> numbers)
    {
        _batch.Run();
        SyscallProgram program = _batch.Room(1, DescriptorReceipt.Size(ours.Length));
        DescriptorReceipt receipt = DescriptorReceipt.Add(program, _far, ours.Length, 0, $"{ours.Length} descriptors");
        UnixSocket.SendDescriptors(_near, ours);
        _batch.RunAndLoad();
        int[] received = receipt.Numbers(program);
        if (received.Length != ours.Length)
        {
            throw new RemoteCallException(_batch.Task.Pid, $"receiving {ours.Length} descriptors", Errno.EMFILE)
            {
                Remedy = "raise the limit of open files (ulimit -n)",
            };
        }

        received.CopyTo(numbers);
        program.Clear();
    }
}
