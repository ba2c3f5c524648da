using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Compel;

/// <summary>Finds a place in a process where the processor enters the kernel: nothing is written into its code.</summary>
internal static class SyscallSite
{
    private const int LargestSearch = 4 << 20;

    /// <summary>The address of a syscall instruction: in the vDSO, else in any readable executable mapping.</summary>
    /// <exception cref="CriuException">The process has none.</exception>
    public static ulong Find(int pid, IReadOnlyList<Vma> mappings, IArchitecture architecture)
    {
        foreach (Vma vma in Candidates(mappings))
        {
            byte[] code = new byte[Math.Min(vma.Length, LargestSearch)];
            Kernel.ProcessVm.Read(pid, vma.Start, code);
            int at = code.AsSpan().IndexOf(architecture.SyscallInstruction);
            if (at >= 0)
            {
                return vma.Start + (ulong)at;
            }
        }

        throw new CriuException("NoSyscallInstruction", CriuErrorKind.NotSupported, $"process {pid} has no mapping with a syscall instruction")
        {
            Pid = pid,
        };
    }

    private static IEnumerable<Vma> Candidates(IReadOnlyList<Vma> mappings)
    {
        foreach (Vma vma in mappings)
        {
            if (vma.IsVdso)
            {
                yield return vma;
            }
        }

        foreach (Vma vma in mappings)
        {
            if (!vma.IsVdso && vma.Protection.HasFlag(VmaProtection.Read | VmaProtection.Execute))
            {
                yield return vma;
            }
        }
    }
}
