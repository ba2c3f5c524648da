using System.Diagnostics;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Compel;

/// <summary>
/// The one who may ptrace: an operation's own thread. ptrace(2) belongs to a thread, so everything that uses a tracer must run there.
/// Waits are bounded and can be cancelled.
/// </summary>
internal sealed class Tracer(IArchitecture architecture, TimeSpan timeout, CancellationToken cancellation)
{
    // A task that shares our processor runs as soon as we let it, and we go on when it stops. One that runs beside us is looked for: first all the time, then after
    // a part of the time that it has taken already.
    private const int YieldMicroseconds = 150, PartOfTime = 8;
    private const int NapMicroseconds = 30, LongestNapMicroseconds = 1000;

    private readonly int _thread = Environment.CurrentManagedThreadId;

    public IArchitecture Architecture => architecture;

    /// <summary>How long a task may take to stop.</summary>
    public TimeSpan Timeout => timeout;

    public CancellationToken Cancellation => cancellation;

    /// <summary>
    /// A tracee that is a child of this process, or 0. Its end is seen and not reaped: who started it waits for it, and .NET ends the whole process
    /// when somebody else reaps a child of its own.
    /// </summary>
    public int OwnChild { get; init; }

    /// <summary>One look at a task: its news, or null where there are none.</summary>
    public WaitStatus? Look(int tid) => tid == OwnChild && Wait.HasEnded(tid) ? WaitStatus.OfReaped(tid) : Wait.Poll(tid);

    /// <summary>Waits for news of one task.</summary>
    /// <exception cref="CriuException">It did not come in time.</exception>
    public WaitStatus Await(int tid, TimeSpan? patience = null, bool cancellable = true) =>
        Poll(tid, patience ?? timeout, cancellable) ?? throw DidNotStop(tid, patience ?? timeout);

    /// <summary>Waits a moment for news of one task; null where there are none.</summary>
    public WaitStatus? AwaitBriefly(int tid) => Poll(tid, TimeSpan.FromMilliseconds(100), cancellable: false);

    private static CriuException DidNotStop(int tid, TimeSpan patience) =>
        new("TaskDidNotStop", CriuErrorKind.Timeout, $"task {tid} did not stop within {patience}")
        {
            Pid = tid,
            Remedy = "the task waits in the kernel where it cannot be interrupted (a vfork, a dead file server); try again later",
        };

    /// <summary>Who else has work for this thread while a task is waited for; null for nobody.</summary>
    public Turns? Turns { get; set; }

    /// <summary>As <see cref="Await"/>, but others have their turns meanwhile.</summary>
    public ValueTask<WaitStatus> AwaitAsync(int tid, TimeSpan patience) =>
        Turns is null ? new ValueTask<WaitStatus>(Await(tid, patience, cancellable: false)) : AwaitInTurnAsync(Turns, tid, patience);

    /// <summary>Waits until a socket can be read, or some time has passed; others have their turns meanwhile.</summary>
    /// <returns>Whether it can be read.</returns>
    public async ValueTask<bool> AwaitReadableAsync(SafeFileHandle socket, int milliseconds)
    {
        if (Turns is null)
        {
            return IsReadable(milliseconds);
        }

        long end = Environment.TickCount64 + milliseconds;
        bool readable = false;
        await Turns.Until(() => (readable = IsReadable(0)) || Environment.TickCount64 > end);
        return readable;

        bool IsReadable(int patience) => (Kernel.Poll.Wait(socket, Kernel.Poll.POLLIN, patience) & Kernel.Poll.POLLIN) != 0;
    }

    /// <summary>Rests for some time; others have their turns meanwhile.</summary>
    public async ValueTask RestAsync(int microseconds)
    {
        if (Turns is null)
        {
            Nap.Microseconds(microseconds);
            return;
        }

        long start = Stopwatch.GetTimestamp();
        await Turns.Until(() => Stopwatch.GetElapsedTime(start).TotalMicroseconds > microseconds);
    }

    private async ValueTask<WaitStatus> AwaitInTurnAsync(Turns turns, int tid, TimeSpan patience)
    {
        const int RoundsForAnotherLook = 256;
        long start = Stopwatch.GetTimestamp();
        WaitStatus? news = null;
        int rounds = 0;
        await turns.Until(() =>
        {
            news = Look(tid);
            bool looks = news is null && ++rounds % RoundsForAnotherLook == 0;
            news ??= looks ? StopThatAnotherTook(tid) : null;
            return news is not null || (looks && Stopwatch.GetElapsedTime(start) > patience);
        });
        return news ?? throw DidNotStop(tid, patience);
    }

    /// <summary>Whether a process is traced by this very thread.</summary>
    public bool Holds(int pid)
    {
        try
        {
            using ProcDirectory proc = new(pid);
            return ProcStatus.Read(proc).TracerPid == (int)Syscall.Invoke(SyscallNumber.gettid);
        }
        catch (CriuException e) when (e.Id == "ProcessGone")
        {
            return false;
        }
    }

    /// <summary>
    /// Waits until everybody whom this thread traces is dead; they were killed. The end of a leader is told only when all other threads of
    /// its process have been waited for (kernel/exit.c, delay_group_leader), those included that nobody knows by number yet.
    /// </summary>
    public void AwaitEndOfAll(TimeSpan patience)
    {
        long start = Stopwatch.GetTimestamp();
        while (Wait.PollAny(out WaitStatus? news) && Stopwatch.GetElapsedTime(start) < patience)
        {
            if (news is null)
            {
                Nap.Microseconds(NapMicroseconds);
            }
        }
    }

    private WaitStatus? Poll(int tid, TimeSpan patience, bool cancellable)
    {
        Debug.Assert(_thread == Environment.CurrentManagedThreadId, "ptrace belongs to the tracer's thread");
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            if (Look(tid) is { } status)
            {
                return status;
            }

            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            if (elapsed.TotalMicroseconds < YieldMicroseconds)
            {
                Nap.Yield();
                continue;
            }

            int nap = (int)Math.Clamp(elapsed.TotalMicroseconds / PartOfTime, NapMicroseconds, LongestNapMicroseconds);
            if (nap == LongestNapMicroseconds && StopThatAnotherTook(tid) is { } taken)
            {
                return taken;
            }

            if (cancellable)
            {
                cancellation.ThrowIfCancellationRequested();
            }

            if (elapsed > patience)
            {
                return null;
            }

            Nap.Microseconds(nap);
        }
    }

    // A tracee that is also a child of this process stands, and there are no news: another thread that waits for children, as .NET's does, has taken them.
    private WaitStatus? StopThatAnotherTook(int tid) =>
        Ptrace.TryGetStop(tid, out int signal, out int code) ? Look(tid) ?? WaitStatus.OfStop(tid, signal, code) : null;
}
