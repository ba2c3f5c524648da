using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>A task's receipt of descriptors over a unix socket (SCM_RIGHTS, unix(7)): the operation and the room for its answer.</summary>
internal readonly struct DescriptorReceipt
{
    private const int OtherData = 128;

    private readonly Operation _operation;
    private readonly ulong _control;
    private readonly int _count;

    private DescriptorReceipt(Operation operation, ulong control, int count) => (_operation, _control, _count) = (operation, control, count);

    /// <summary>Bytes of program data that a receipt takes.</summary>
    public static int Size(int count) => UnixSocket.ControlSize(count) + OtherData;

    /// <summary>Adds the receipt of a message with so many descriptors.</summary>
    /// <param name="program">Takes the operation.</param>
    /// <param name="socket">The socket's number in the task.</param>
    /// <param name="count">How many descriptors are sent.</param>
    /// <param name="flags">MSG_* flags.</param>
    /// <param name="what">What is received, for the error.</param>
    public static DescriptorReceipt Add(SyscallProgram program, int socket, int count, int flags, string what)
    {
        int size = UnixSocket.ControlSize(count);
        ulong control = program.Reserve(size), data = program.Reserve(8);

        // What does not come must not be taken for the number 0 by the operations that follow.
        program.At(control + UnixSocket.ControlHeaderSize, count * sizeof(int)).Fill(byte.MaxValue);
        ulong vector = program.Put(new iovec { iov_base = data, iov_len = 1 });
        ulong message = program.Put(new UnixSocket.msghdr
        {
            msg_iov = vector, msg_iovlen = 1, msg_control = control, msg_controllen = (ulong)size,
        });
        Operation operation = program.Add($"recvmsg of {what}", SyscallNumber.recvmsg, socket, message, flags);
        return new DescriptorReceipt(operation, control, count);
    }

    /// <summary>How many were sent.</summary>
    public int Count => _count;

    /// <summary>The number that the first one got, for later operations of the same program.</summary>
    public Argument First => Number(0);

    /// <summary>The number that one of them got, for later operations of the same program.</summary>
    public Argument Number(int index) => Argument.Int32(_control + UnixSocket.ControlHeaderSize + (ulong)(index * sizeof(int)));

    /// <summary>Whether the message came, after the program ran.</summary>
    public bool HasCome(SyscallProgram program) => program.Result(_operation) > 0;

    /// <summary>The numbers that they got, after the program ran; fewer than were sent where the table of the task was full.</summary>
    public int[] Numbers(SyscallProgram program)
    {
        int received = (program.Read<int>(_control) - UnixSocket.ControlHeaderSize) / sizeof(int);
        ReadOnlySpan<byte> bytes = program.At(_control + UnixSocket.ControlHeaderSize, _count * sizeof(int));
        return MemoryMarshal.Cast<byte, int>(bytes)[..Math.Clamp(received, 0, _count)].ToArray();
    }
}
