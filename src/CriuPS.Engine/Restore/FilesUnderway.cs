using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Bounds how many files are on their way to newborns, sent and not yet received: without privileges a user may have no more of them than a
/// process may have open (unix(7), ETOOMANYREFS).
/// </summary>
/// <param name="limit">How many descriptors a process may have.</param>
internal sealed class FilesUnderway(ulong limit)
{
    // What the queue of a socket takes, for as long as that is no more than a part of what we may have open ourselves.
    private const int MostMessages = 4, PartOfLimit = 8;

    private readonly HashSet<RemoteBatch> _receivers = [];
    private int _files;

    /// <summary>How many may be.</summary>
    public int Most { get; } = Math.Clamp((int)Math.Min(limit / PartOfLimit, int.MaxValue), UnixSocket.SCM_MAX_FD, MostMessages * UnixSocket.SCM_MAX_FD);

    /// <summary>Makes room for files that are about to be sent: those that are under way are received if there are too many.</summary>
    /// <param name="receiver">Who will receive them.</param>
    /// <param name="files">How many, no more than one message takes.</param>
    public void Add(RemoteBatch receiver, int files)
    {
        if (_files + files > Most)
        {
            RemoteBatch.RunAll(_receivers);
            _receivers.Clear();
            _files = 0;
        }

        _receivers.Add(receiver);
        _files += files;
    }
}
