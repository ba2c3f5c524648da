using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Objects.Credentials;

namespace CriuPS.Engine.Restore;

/// <summary>
/// The session keyrings of a tree. A newborn has that of its creator; who needs another one makes it, or joins one that is made already, before it has children.
/// </summary>
internal sealed class KeyringBirth
{
    private readonly Dictionary<uint, int> _made = [];
    private readonly List<(Member Maker, CriupsKeyringEntry Keyring)> _unfinished = [];

    /// <summary>Which keyring the first newborn has: 0 for that of its user, null for one of ours.</summary>
    public static uint? First(SavedTree tree) =>
        tree.Processes.Any(p => p.Extra?.SessionKeyring is not null) && SessionKeyring.OursIsTheUsers() ? 0 : null;

    /// <summary>Gives a newborn its keyring.</summary>
    public void Enter(Member member)
    {
        if (member.Process is not { Saved: var saved } || saved.Extra?.SessionKeyring is not { } wanted || wanted.Serial == member.Keyring)
        {
            return;
        }

        member.Keyring = wanted.Serial;
        if (wanted.Serial == 0)
        {
            SessionKeyring.TakeUsers(member.Batch, saved.LeaderCore.ThreadCore.Creds.Uid);
        }
        else if (!wanted.Revoked && _made.TryGetValue(wanted.Serial, out int serial))
        {
            SessionKeyring.Join(member.Batch, wanted, serial);
        }
        else
        {
            (serial, bool isNew) = SessionKeyring.Make(member.Batch, wanted);
            _made[wanted.Serial] = serial;
            if (isNew)
            {
                _unfinished.Add((member, wanted));
            }
        }
    }

    /// <summary>When all are born: keyrings get their owners and permissions.</summary>
    public void Finish()
    {
        foreach ((Member maker, CriupsKeyringEntry keyring) in _unfinished)
        {
            SessionKeyring.Finish(maker.Batch, keyring);
            maker.Batch.Run();
        }
    }
}
