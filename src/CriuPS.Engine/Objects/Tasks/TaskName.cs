using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// The name of a thread (task_struct.comm, 15 bytes and a zero). Read and set by prctl(PR_GET_NAME, PR_SET_NAME) in the thread itself.
/// </summary>
internal sealed class TaskName : ITaskState
{
    private const int Size = 16;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        ulong answer = program.Reserve(Size);
        program.Add("prctl(PR_GET_NAME)", SyscallNumber.prctl, Prctl.PR_GET_NAME, answer);
        return () =>
        {
            ReadOnlySpan<byte> name = program.At(answer, Size);
            int end = name.IndexOf((byte)0);
            ByteString text = ByteString.CopyFrom(end < 0 ? name : name[..end]);
            dump.Core.ThreadCore.Comm = text;
            if (dump.IsLeader)
            {
                dump.Core.Tc.Comm = text;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        ByteString text = restore.Core.ThreadCore.HasComm ? restore.Core.ThreadCore.Comm : restore.Core.Tc?.Comm ?? restore.LeaderCore.Tc.Comm;
        Span<byte> name = stackalloc byte[Size];
        name.Clear();
        text.Span[..Math.Min(text.Length, Size - 1)].CopyTo(name);
        SyscallProgram program = restore.Batch.Room(1, Size);
        program.Add("prctl(PR_SET_NAME)", SyscallNumber.prctl, Prctl.PR_SET_NAME, program.Put(name));
    }
}
