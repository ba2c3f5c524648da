using System.Globalization;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Puts events that nobody has read into the queue of an inotify file (fs/notify/notification.c). They are caused again on a stage of ours, by watches with the
/// old numbers. When such a watch is taken away the kernel says IN_IGNORED; it stays silent while the queue is full and holds the event that tells
/// so. Therefore the queue is filled, that event first, then events that mean nothing, then ours; the watches are taken away, and what stands in front of ours
/// is read out again.
/// </summary>
internal sealed class InotifyQueue : IDisposable
{
    private const int FillerSize = Notification.InotifyEventSize;

    private readonly SafeFileHandle _inotify;
    private readonly List<InotifyEvent> _wanted;
    private readonly InotifyStage _stage;
    private readonly int _room;
    private bool _odd;

    private InotifyQueue(SafeFileHandle inotify, List<InotifyEvent> wanted, IEnumerable<int> watches)
    {
        (_inotify, _wanted) = (inotify, wanted);
        _stage = new InotifyStage(inotify, wanted, watches.Concat(wanted.Select(e => e.Watch)).Append(0).Max() + 1);

        // The kernel gives each file the limit that holds when it is made.
        _room = int.Parse(File.ReadAllText("/proc/sys/fs/inotify/max_queued_events"), CultureInfo.InvariantCulture);
    }

    /// <summary>Puts events into a queue that is empty, of a file without watches.</summary>
    /// <param name="inotify">The file.</param>
    /// <param name="events">The events, in their order.</param>
    /// <param name="watches">Numbers of watches that the file will get.</param>
    public static void Put(SafeFileHandle inotify, IReadOnlyList<InotifyEvent> events, IEnumerable<int> watches)
    {
        List<InotifyEvent> wanted = Arrange(events);
        if (wanted.Count > 0)
        {
            using InotifyQueue queue = new(inotify, wanted, watches);
            queue.Fill();
        }
    }

    public void Dispose() => _stage.Dispose();

    // What cannot be caused becomes the event that tells of lost ones, which exists once. IN_IGNORED comes with IN_DELETE_SELF by itself.
    private static List<InotifyEvent> Arrange(IReadOnlyList<InotifyEvent> events)
    {
        List<InotifyEvent> arranged = [];
        HashSet<int> deleted = [];
        bool lost = false;
        foreach (InotifyEvent happened in events)
        {
            if (happened.Kind == Notification.IN_IGNORED && deleted.Remove(happened.Watch))
            {
                continue;
            }

            if (InotifyStage.CanCause(happened))
            {
                arranged.Add(happened);
            }
            else if (!lost)
            {
                lost = true;
                arranged.Add(new InotifyEvent(-1, Notification.IN_Q_OVERFLOW, 0, []));
            }

            if (happened.Kind == Notification.IN_DELETE_SELF)
            {
                deleted.Add(happened.Watch);
                arranged.Add(happened with { Mask = Notification.IN_IGNORED });
            }
        }

        return arranged;
    }

    private void Fill()
    {
        int lost = _wanted.FindIndex(e => e.Kind == Notification.IN_Q_OVERFLOW);
        if (_wanted.Count >= _room)
        {
            throw new CriuException("QueueTooSmall", CriuErrorKind.NotSupported, $"{_wanted.Count} events waited in it, and there is room for {_room}")
            {
                Remedy = "raise /proc/sys/fs/inotify/max_queued_events",
            };
        }

        int inFront = lost < 0 ? FillInFront() : FillAround(lost);
        _stage.RemoveWatches();
        Drop(inFront);
        if (EventFiles.Readable(_inotify) is int left && left != _wanted.Sum(e => e.Size))
        {
            throw new CriuException("EventsLost", CriuErrorKind.Busy, $"{left} bytes of events are in it, not those that waited")
            {
                Remedy = "try again; somebody may have changed /proc/sys/fs/inotify/max_queued_events meanwhile",
            };
        }
    }

    // Full: the event that tells so, fillers, and the wanted ones.
    private int FillInFront()
    {
        AddFillers(_room + 1);
        Drop(_room);
        int fillers = _room - 1 - _wanted.Count;
        AddFillers(fillers);
        Cause(0, _wanted.Count);
        return 1 + fillers;
    }

    // The event that tells so is one of the wanted: those behind it find room when as many fillers are taken out.
    private int FillAround(int lost)
    {
        int behind = _wanted.Count - lost - 1, fillers = _room - lost;
        AddFillers(fillers);
        Cause(0, lost);
        AddFillers(1);
        Drop(behind + 1);
        Cause(lost + 1, _wanted.Count);
        return fillers - behind - 1;
    }

    private void Cause(int start, int end)
    {
        for (int i = start; i < end; i++)
        {
            InotifyEvent happened = _wanted[i];
            InotifyEvent? next = i + 1 < end ? _wanted[i + 1] : null;
            bool isRename = happened.Kind == Notification.IN_MOVED_FROM && next is { Kind: Notification.IN_MOVED_TO } second
                && second.Cookie == happened.Cookie;
            _stage.Cause(happened, isRename ? next : null);
            i += isRename || happened.Kind == Notification.IN_DELETE_SELF ? 1 : 0;
        }
    }

    // Two kinds in turn: the kernel does not queue an event that is equal to the one before it.
    private void AddFillers(int count)
    {
        for (int i = 0; i < count; i++, _odd = !_odd)
        {
            _stage.CauseFiller(_odd);
        }
    }

    private void Drop(int count)
    {
        byte[] buffer = new byte[Math.Min(count, 1 << 12) * FillerSize];
        for (long left = (long)count * FillerSize; left > 0;)
        {
            int part = (int)Math.Min(left, buffer.Length);
            left -= Syscall.Check(FileRead.Read(_inotify, buffer.AsSpan(0, part)), "read of inotify events");
        }
    }
}
