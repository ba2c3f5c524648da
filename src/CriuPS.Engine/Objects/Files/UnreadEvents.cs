using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Events that wait in inotify files at a dump. They can be seen only by taking them out, so it is done only where the process ends with the dump; a dump
/// that fails puts them back.
/// </summary>
/// <param name="set">The image set.</param>
internal sealed class UnreadEvents(ImageSet set)
{
    private readonly Dictionary<(int Pid, int Fd), List<InotifyEvent>> _taken = [];

    private readonly ImageWriter _writer = set.CreateWriter(ImageType.CriupsNotify);

    /// <summary>Takes the events of all processes, before anything of ours can cause more of them.</summary>
    /// <exception cref="RefusedException">There are some, and the processes live on.</exception>
    public void Take(TreeFiles tree, FinalState state)
    {
        List<Refusal> refusals = [];
        foreach (OpenFile file in tree.All.Where(InotifyFile.Is))
        {
            using SafeFileHandle process = PidFd.Open(file.Pid);
            using SafeFileHandle inotify = PidFd.GetFd(process, file.Fd);
            int waiting = EventFiles.Readable(inotify);
            if (waiting > 0 && state != FinalState.Kill)
            {
                refusals.Add(new Refusal(
                    file.Pid, "", file.ToString(), $"{waiting} bytes of events wait in it, which can be kept only when the process ends with its dump",
                    "dump without -LeaveRunning and -LeaveStopped, or try again when the program has read them"));
            }
            else if (waiting > 0)
            {
                List<InotifyEvent> events = _taken[(file.Pid, file.Fd)] = [];
                set.AlsoDiscard($"putting events back into {file}", () => PutBack(file, events));
                events.AddRange(InotifyEvent.TakeAll(inotify));
            }
        }

        if (refusals.Count > 0)
        {
            throw new RefusedException(refusals);
        }
    }

    /// <summary>Saves what was taken out of a file, by the first descriptor of it.</summary>
    public void Save(OpenFile file, uint id)
    {
        if (_taken.TryGetValue((file.Pid, file.Fd), out List<InotifyEvent>? events))
        {
            CriupsNotifyEntry entry = new() { Id = id };
            entry.Events.AddRange(events.Select(e => e.ToEntry()));
            Write(entry);
        }
    }

    public void Write(CriupsNotifyEntry entry) => _writer.Write(entry);

    // The numbers are needed for the events, so the watches go away meanwhile.
    private static int PutBack(OpenFile file, List<InotifyEvent> events)
    {
        using SafeFileHandle process = PidFd.Open(file.Pid);
        using SafeFileHandle inotify = PidFd.GetFd(process, file.Fd);
        HashSet<int> own = [];
        List<(InotifyWatch Watch, SafeFileHandle File)> watches = [];
        foreach (InotifyWatch watch in file.Info!.InotifyWatches.OrderBy(w => w.Watch))
        {
            if (WatchedInode.Find(file.Pid, watch.SuperBlockDevice, watch.Handle) is { } watched)
            {
                watches.Add((watch, watched));
                Notification.RemoveWatch(inotify, watch.Watch);
                own.Add(watch.Watch);
            }
        }

        events.AddRange(InotifyEvent.TakeAll(inotify).Where(e => e.Kind != Notification.IN_IGNORED || !own.Contains(e.Watch)));
        InotifyQueue.Put(inotify, events, own);
        foreach ((InotifyWatch watch, SafeFileHandle watched) in watches)
        {
            Notification.AddWatch(inotify, watched, watch.Mask, watch.Watch);
            watched.Dispose();
        }

        return 0;
    }
}
