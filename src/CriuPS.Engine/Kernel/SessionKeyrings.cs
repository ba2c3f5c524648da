using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// The numbers of the session keyrings of tasks (struct cred.session_keyring). A task that asks for its own by keyctl(2) gets one if it had none, and its
/// children with it (security/keys/process_keys.c, lookup_user_key); so the kernel's memory is asked. The question is put together before anybody is stopped for it.
/// </summary>
internal sealed class SessionKeyrings : IDisposable
{
    private const int AllProcesses = 0, Words = 5;

    private readonly SafeFileHandle _program;
    private readonly BpfRow _row = BpfRow.OfTasks(Words);
    private readonly int _tid, _keyring, _serial;

    private SessionKeyrings()
    {
        KernelTypes types = KernelTypes.Running;
        _tid = _row.FromAddress(_row.ObjectItself(), types.OffsetOf("task_struct", "pid"));
        int credentials = _row.FromObject(types.OffsetOf("task_struct", "real_cred"));
        _keyring = _row.FromAddress(credentials, types.OffsetOf("cred", "session_keyring"));
        _serial = _row.FromAddress(_keyring, types.OffsetOf("key", "serial"));
        _program = _row.Load("bpf_iter_task");
    }

    /// <summary>Puts the question together; null where the kernel does not tell, or nobody has such a keyring.</summary>
    public static SessionKeyrings? TryPrepare()
    {
        try
        {
            return RestartBlocks.IsFirstPidNamespace && ProcKeys.MayHaveSessions() ? new SessionKeyrings() : null;
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return null;
        }
    }

    /// <summary>The numbers for all tasks of some processes, 0 for those which have none of their own; null where the kernel does not tell.</summary>
    /// <param name="pids">The processes, which stand still.</param>
    public IReadOnlyDictionary<int, uint>? TryAsk(IReadOnlyList<int> pids)
    {
        try
        {
            return _row.Run(_program, pids.Count == 1 ? pids[0] : AllProcesses).DistinctBy(words => (int)words[_tid])
                .ToDictionary(words => (int)words[_tid], words => words[_keyring] == 0 ? 0 : (uint)words[_serial]);
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return null;
        }
    }

    public void Dispose() => _program.Dispose();
}
