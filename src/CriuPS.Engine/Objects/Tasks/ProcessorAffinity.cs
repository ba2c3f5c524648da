using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// The processors on which a thread may run (task_struct.cpus_mask). sched_getaffinity(2) tells them from outside, sched_setaffinity(2) sets them in
/// the thread itself; of those, the kernel allows what the cpuset allows. A newborn has ours: where they are the same, nothing is set.
/// </summary>
internal sealed class ProcessorAffinity : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        dump.Extra.Processors = ByteString.CopyFrom(Affinity.Of(dump.Task.Tid));
        return null;
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Extra is { HasProcessors: true } extra && !extra.Processors.Span.SequenceEqual(restore.Inherited.Processors))
        {
            SyscallProgram program = restore.Batch.Room(1, extra.Processors.Length);
            program.Add("sched_setaffinity", SyscallNumber.sched_setaffinity, 0, extra.Processors.Length, program.Put(extra.Processors.Span));
        }
    }
}
