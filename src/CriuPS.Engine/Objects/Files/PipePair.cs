using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Files;

/// <summary>The two ends of an empty pipe that one process has and nobody else: it makes them by one call (pipe2(2)).</summary>
/// <param name="Read">The descriptor that reads.</param>
/// <param name="Write">The descriptor that writes.</param>
internal readonly record struct PipePair(FdinfoEntry Read, FdinfoEntry Write)
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
    public bool FitsFrom((int First, int Second) numbers) => (int)Read.Fd != numbers.Second || (int)Write.Fd != numbers.First;

    /// <summary>Adds the calls that make the pipe.</summary>
    /// <param name="flags">The flags of both ends.</param>
    /// <param name="numbers">The two lowest numbers that are free in the process.</param>
    /// <param name="batch">The process.</param>
    /// <param name="size">Takes the pipe's size, as the kernel made it.</param>
    public void AddMaking((int Read, int Write) flags, (int First, int Second) numbers, RemoteBatch batch, Action<long> size)
    {
        SyscallProgram program = batch.Room(8, 16);
        int common = flags.Read & flags.Write & AtCreation;
        program.Add("pipe2", SyscallNumber.pipe2, program.Reserve(2 * sizeof(int)), common);
        AddFlags(program, numbers.First, flags.Read & Settable, common);
        AddFlags(program, numbers.Second, flags.Write & Settable, common);
        Operation made = program.Add("fcntl(F_GETPIPE_SZ)", SyscallNumber.fcntl, numbers.First, Fcntl.F_GETPIPE_SZ);
        batch.Then(answers => size(answers.Result(made)));
        if ((int)Read.Fd == numbers.Second)
        {
            AddMove(program, numbers.Second, Write, closes: false);
            AddMove(program, numbers.First, Read, closes: true);
        }
        else
        {
            AddMove(program, numbers.First, Read, closes: (int)Write.Fd != numbers.First);
            AddMove(program, numbers.Second, Write, closes: true);
        }
    }

    private static void AddFlags(SyscallProgram program, int number, int wanted, int present)
    {
        if (wanted != present)
        {
            program.Add(new CallOfDescriptor("fcntl(F_SETFL) of", number), SyscallNumber.fcntl, number, Fcntl.F_SETFL, wanted);
        }
    }

    private static void AddMove(SyscallProgram program, int from, FdinfoEntry to, bool closes) =>
        program.AddPlacing(from, (int)to.Fd, FileTable.IsClosedOnExec(to), closes);
}
