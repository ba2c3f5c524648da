using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A timer that is read like a file (timerfd_create(2), struct timerfd_ctx). fdinfo tells clock, unread expirations, how it was set, the time that is left and the
/// interval (since Linux 3.17). timerfd_settime(2) starts it again with what was left, and TFD_IOC_SET_TICKS puts back what nobody has read.
/// </summary>
internal sealed class TimerFile : IFileKind, ISelfMade
{
    private const long NanosecondsPerSecond = 1_000_000_000;

    public FdTypes Type => FdTypes.Timerfd;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:[timerfd]"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree) => null;

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        TimerFdState state = file.Info!.TimerFd!.Value;
        if (state.Interval != default)
        {
            state = CaughtUp(held.Handle);
        }

        return new FileEntry
        {
            Type = Type, Id = id,
            Tfd = new TimerfdEntry
            {
                Id = id, Flags = (uint)file.FileFlags, Clockid = (uint)state.ClockId, Ticks = state.Ticks, SettimeFlags = state.SetTimeFlags,
                Vsec = state.Value.Seconds, Vnsec = state.Value.Nanoseconds, Isec = state.Interval.Seconds, Insec = state.Interval.Nanoseconds,
                Fown = FileOwner.Save(file, images.Tree),
            },
        };
    }

    // A periodic timer that expired counts on only when somebody asks: this makes the kernel catch up (fs/timerfd.c, do_timerfd_gettime).
    private static TimerFdState CaughtUp(SafeFileHandle timer)
    {
        EventFiles.CatchUp(timer);
        using ProcDirectory self = new(Environment.ProcessId);
        return FdInfo.Read(self, (int)timer.DangerousGetHandle()).TimerFd!.Value;
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        TimerfdEntry saved = entry.Tfd;
        if (saved.Vnsec >= NanosecondsPerSecond || saved.Insec >= NanosecondsPerSecond || saved.Vsec > long.MaxValue || saved.Isec > long.MaxValue)
        {
            throw new CriuException("MalformedTimer", CriuErrorKind.InvalidData, "its time is none");
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        TimerfdEntry saved = entry.Tfd;
        SafeFileHandle timer = EventFiles.TimerFd((int)saved.Clockid, (int)saved.Flags & Fcntl.O_NONBLOCK);
        if (TimeToSet(saved) is { } time)
        {
            EventFiles.SetTime(timer, (int)saved.SettimeFlags, time);
        }

        if (saved.Ticks != 0)
        {
            EventFiles.SetTicks(timer, saved.Ticks);
        }

        return timer;
    }

    // What is set by our clock must run by it.
    public bool CanBeSelfMade(FileEntry entry, FileOpening opening) => !opening.HasOtherClocks;

    public void AddMaking(FileEntry entry, int number, bool closeOnExec, SyscallBatch batch)
    {
        TimerfdEntry saved = entry.Tfd;
        SyscallProgram program = batch.Room(3, System.Runtime.CompilerServices.Unsafe.SizeOf<PosixTimerCalls.itimerspec>() + sizeof(ulong));
        int flags = ((int)saved.Flags & Fcntl.O_NONBLOCK) | (closeOnExec ? Fcntl.O_CLOEXEC : 0);
        program.Add("timerfd_create", SyscallNumber.timerfd_create, (int)saved.Clockid, flags);
        if (TimeToSet(saved) is { } time)
        {
            program.Add("timerfd_settime", SyscallNumber.timerfd_settime, number, (int)saved.SettimeFlags, program.Put(time), 0);
        }

        if (saved.Ticks != 0)
        {
            program.Add("ioctl(TFD_IOC_SET_TICKS)", SyscallNumber.ioctl, number, EventFiles.TFD_IOC_SET_TICKS, program.Put(saved.Ticks));
        }
    }

    // Null for a timer that was never set.
    private static PosixTimerCalls.itimerspec? TimeToSet(TimerfdEntry saved)
    {
        PosixTimerCalls.itimerspec time = new()
        {
            it_value = new timespec { tv_sec = (long)saved.Vsec, tv_nsec = (long)saved.Vnsec },
            it_interval = new timespec { tv_sec = (long)saved.Isec, tv_nsec = (long)saved.Insec },
        };
        bool armed = (saved.Vsec | saved.Vnsec) != 0;
        if (armed && (saved.SettimeFlags & EventFiles.TFD_TIMER_ABSTIME) != 0)
        {
            time.it_value = Sum(PosixTimerCalls.ClockGetTime((int)saved.Clockid), time.it_value);
        }

        return armed || (saved.Isec | saved.Insec) != 0 ? time : null;
    }

    private static timespec Sum(timespec now, timespec left)
    {
        long nanoseconds = now.tv_nsec + left.tv_nsec;
        return new timespec
        {
            tv_sec = now.tv_sec + left.tv_sec + nanoseconds / NanosecondsPerSecond, tv_nsec = nanoseconds % NanosecondsPerSecond,
        };
    }
}
