using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Credentials;

/// <summary>
/// The keyrings that a thread or a process has of its own (struct cred.thread_keyring, process_keyring; keyrings(7)): keys in them can be used by the kernel and
/// not always be read, and their numbers cannot be chosen. Told by keyctl(KEYCTL_GET_KEYRING_ID) in the thread itself, which says ENOKEY where there is none.
/// </summary>
internal sealed class Keyrings : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        Operation ofThread = program.Try("keyctl", SyscallNumber.keyctl, Keyctl.KEYCTL_GET_KEYRING_ID, Keyctl.KEY_SPEC_THREAD_KEYRING, 0);
        Operation? ofProcess = dump.IsLeader
            ? program.Try("keyctl", SyscallNumber.keyctl, Keyctl.KEYCTL_GET_KEYRING_ID, Keyctl.KEY_SPEC_PROCESS_KEYRING, 0)
            : null;
        return () =>
        {
            Refuse(dump, "a keyring of the thread", program.Result(ofThread));
            if (ofProcess is { } answer)
            {
                Refuse(dump, "a keyring of the process", program.Result(answer));
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
    }

    private static void Refuse(TaskDump dump, string what, long serial)
    {
        if (serial > 0)
        {
            throw new RefusedException([new Refusal(
                dump.Process.Pid, dump.Process.Name, $"thread {dump.Task.Tid}", $"it has {what} ({serial:x}), which cannot be made again", "keep keys in the user's keyring")]);
        }
    }
}
