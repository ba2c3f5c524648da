using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Bounds how many files are on their way to newborns, sent and not yet received: without privileges a user may have no more of them than a
/// process may have open (unix(7), ETOOMANYREFS).
/// </summary>
internal sealed class FilesUnderway
{
    private readonly HashSet<RemoteBatch> _receivers = [];
    private int _files;

    /// <summary>Makes room for files that are about to be sent: those that are under way are received if there are too many.</summary>
    /// <param name="receiver">Who will receive them.</param>
    /// <param name="files">How many, no more than one message takes.</param>
    public void Add(RemoteBatch receiver, int files)
    {
        if (_files + files > UnixSocket.SCM_MAX_FD)
        {
            RemoteBatch.RunAll(_receivers);
            _receivers.Clear();
            _files = 0;
        }

        _receivers.Add(receiver);
        _files += files;
    }
}
