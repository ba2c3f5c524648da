using System.Runtime.CompilerServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Dump;

/// <summary>
/// Rehearses a dump on a newborn of our own before the real target is stopped: the first use of a method costs its compilation, and the target would
/// stand still for it. The rehearsal takes the same way through the code, into a directory that is removed again.
/// </summary>
internal static class WarmUp
{
    private const int AT_FDCWD = -100, Everything = int.MaxValue;

    // What it warms is the process's own code, so once in a process is enough.
    private static readonly Lazy<bool> s_done = new(Rehearse, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>Rehearses once; on the thread that will be the tracer. Native code is compiled already.</summary>
    public static void Dump() => _ = RuntimeFeature.IsDynamicCodeCompiled && s_done.Value;

    private static bool Rehearse()
    {
        string folder = Directory.CreateTempSubdirectory("criups-").FullName;
        int pid = Newborn.Create();
        try
        {
            Tracer tracer = new(new Compel.X64.X64Architecture(), TimeSpan.FromSeconds(10), CancellationToken.None);
            using FrozenTree frozen = FrozenTree.Freeze(tracer, pid);
            OpenFiles(frozen.Root.Leader);
            DumpOptions options = new() { Pid = pid, ImagesDirectory = folder, ShellJob = true };
            using ImageSet images = ImageSet.Create(folder);
            using TreeCapture capture = new(tracer, frozen, images, options, null) { Rehearsal = true };
            capture.Run();
            images.Complete(ProcessImages.Inventory(), durable: false);
            frozen.Finish(FinalState.Kill);
            frozen.AwaitEnd(tracer);
            return true;
        }
        finally
        {
            Syscall.Invoke(SyscallNumber.kill, pid, Signals.SIGKILL);
            Directory.Delete(folder, recursive: true);
        }
    }

    // It inherited whatever descriptors were open here; it gets some of the most common kinds, one of them twice.
    private static void OpenFiles(Tracee task)
    {
        ulong at = Newborn.SyscallAt(task.Architecture);
        ulong scratch = task.Architecture.StackPointer(task.Save().General);
        ProcessVm.Write(task.Pid, scratch, "/dev/null\0"u8);
        task.RunSyscall(at, SyscallNumber.close_range, 0, Everything, 0);
        for (int i = 0; i < 2; i++)
        {
            task.RunSyscall(at, SyscallNumber.openat, unchecked((ulong)AT_FDCWD), scratch, Fcntl.O_RDWR, 0);
        }

        task.RunSyscall(at, SyscallNumber.dup, 0);
        task.RunSyscall(at, SyscallNumber.pipe2, scratch, 0);
        task.PutBack();
    }
}
