using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Files;

/// <summary>A pipe with nothing in it, both ends of which one process has and nobody else: one call makes them (pipe2(2)).</summary>
/// <param name="Read">The end that reads.</param>
/// <param name="Write">The end that writes.</param>
/// <param name="Size">Bytes that it has room for; 0 where that is not saved.</param>
internal sealed record PipePair((FdinfoEntry Descriptor, PipeEntry Entry) Read, (FdinfoEntry Descriptor, PipeEntry Entry) Write, uint Size)
{
    private const int AtCreation = Fcntl.O_NONBLOCK | Fcntl.O_DIRECT, Settable = AtCreation | Fcntl.O_APPEND;

    /// <summary>Whether an end is one of those that pipe(2) makes: open(2) marks files as large.</summary>
    public static bool IsOwnEnd(PipeEntry end) => ((int)end.Flags & Fcntl.O_ACCMODE) != Fcntl.O_RDWR && ((int)end.Flags & Fcntl.LargeFile) == 0;

    /// <summary>Whether a pipe has nothing in it and no other end outside.</summary>
    /// <param name="pipe">The pipe.</param>
    /// <param name="opening">What files share.</param>
    /// <param name="size">Bytes that it has room for; 0 where that is not saved.</param>
    public static bool IsEmpty(uint pipe, FileOpening opening, out uint size)
    {
        size = 0;
        foreach ((PipeDataEntry entry, byte[] content) in opening.PipeData(pipe))
        {
            size = entry.HasSize ? entry.Size : 0;
            if (content.Length > 0)
            {
                return false;
            }
        }

        return opening.Packets(pipe) is null && !opening.EndsOutside(pipe);
    }

    /// <summary>Whether the ends can come to their places from where they are made: one may have the other's place, but not both.</summary>
    /// <param name="numbers">The two lowest numbers that are free in the process.</param>
    public bool FitsFrom((int First, int Second) numbers) => (int)Read.Descriptor.Fd != numbers.Second || (int)Write.Descriptor.Fd != numbers.First;

    /// <summary>Adds the calls that make the pipe.</summary>
    /// <param name="numbers">The two lowest numbers that are free.</param>
    /// <param name="batch">The process, or a thread of ours.</param>
    /// <param name="resize">What is done if the kernel made it of another size.</param>
    public void AddMaking((int First, int Second) numbers, SyscallBatch batch, Action resize)
    {
        SyscallProgram program = batch.Room(4, 16);
        program.Add("pipe2", SyscallNumber.pipe2, program.Reserve(2 * sizeof(int)), Common);
        AddFlags(program, numbers.First, Read.Entry);
        AddFlags(program, numbers.Second, Write.Entry);
        if (Size != 0)
        {
            Operation made = program.Add("fcntl(F_GETPIPE_SZ)", SyscallNumber.fcntl, numbers.First, Fcntl.F_GETPIPE_SZ);
            batch.Then(answers =>
            {
                if (answers.Result(made) != Size)
                {
                    resize();
                }
            });
        }
    }

    /// <summary>Adds the calls that bring the ends to their places in the process; at most four.</summary>
    public void AddPlacing((int First, int Second) numbers, SyscallProgram program)
    {
        if ((int)Read.Descriptor.Fd == numbers.Second)
        {
            AddMove(program, numbers.Second, Write.Descriptor, closes: false);
            AddMove(program, numbers.First, Read.Descriptor, closes: true);
        }
        else
        {
            AddMove(program, numbers.First, Read.Descriptor, closes: (int)Write.Descriptor.Fd != numbers.First);
            AddMove(program, numbers.Second, Write.Descriptor, closes: true);
        }
    }

    private int Common => (int)(Read.Entry.Flags & Write.Entry.Flags) & AtCreation;

    private void AddFlags(SyscallProgram program, int number, PipeEntry entry)
    {
        if (((int)entry.Flags & Settable) is int wanted && wanted != Common)
        {
            program.Add(new CallOfDescriptor("fcntl(F_SETFL) of", number), SyscallNumber.fcntl, number, Fcntl.F_SETFL, wanted);
        }
    }

    private static void AddMove(SyscallProgram program, int from, FdinfoEntry to, bool closes) =>
        program.AddPlacing(from, (int)to.Fd, FileTable.IsClosedOnExec(to), closes);
}
