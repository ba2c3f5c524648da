using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// The numbers of the session keyrings of all tasks (struct cred.session_keyring). A task that asks for its own by keyctl(2) gets one if it had none, and its
/// children with it (security/keys/process_keys.c, lookup_user_key); so the kernel's memory is asked.
/// </summary>
internal sealed class SessionKeyrings
{
    private readonly Dictionary<int, uint> _byTid;

    private SessionKeyrings(Dictionary<int, uint> byTid) => _byTid = byTid;

    /// <summary>No task has one.</summary>
    public static SessionKeyrings None { get; } = new([]);

    /// <summary>Asks for all tasks of the machine; null where the kernel does not tell.</summary>
    public static SessionKeyrings? TryRead()
    {
        if (!RestartBlocks.IsFirstPidNamespace)
        {
            return null;
        }

        try
        {
            KernelTypes types = KernelTypes.Running;
            BpfRow row = new(words: 5);
            row.Of(types.OffsetOf("bpf_iter__task", "task"));
            int tid = row.FromAddress(row.ObjectItself(), types.OffsetOf("task_struct", "pid"));
            int credentials = row.FromObject(types.OffsetOf("task_struct", "real_cred"));
            int keyring = row.FromAddress(credentials, types.OffsetOf("cred", "session_keyring"));
            int serial = row.FromAddress(keyring, types.OffsetOf("key", "serial"));
            return new SessionKeyrings(row.Run("bpf_iter_task", 0).DistinctBy(words => (int)words[tid])
                .ToDictionary(words => (int)words[tid], words => words[keyring] == 0 ? 0 : (uint)words[serial]));
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return null;
        }
    }

    /// <summary>The number of a task's session keyring; 0 where it has none of its own.</summary>
    public uint Of(int tid) => _byTid.GetValueOrDefault(tid);
}
