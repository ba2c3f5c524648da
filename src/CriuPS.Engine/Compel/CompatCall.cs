using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>A call of the kernel's 32-bit interface made by this process itself, for what only that interface tells. Needs CONFIG_IA32_EMULATION.</summary>
internal static unsafe class CompatCall
{
    /// <summary>Numbers of system calls of the 32-bit interface (arch/x86/entry/syscalls/syscall_32.tbl).</summary>
    public const int rt_sigaction = 174, set_robust_list = 311, get_robust_list = 312;

    /// <summary>The head of the list of robust futexes of a 32-bit task, and its length.</summary>
    public static (uint Head, uint Length) GetRobustList(int tid)
    {
        // The interface takes addresses below 4 GiB.
        ulong answers = Memory.MapAnonymous(Memory.PageSize, Memory.PROT_READ | Memory.PROT_WRITE, Memory.MAP_32BIT);
        try
        {
            Syscall.Check(Invoke(get_robust_list, (uint)tid, (uint)answers, (uint)answers + sizeof(uint)), () => $"get_robust_list({tid}), 32-bit");
            return (((uint*)answers)[0], ((uint*)answers)[1]);
        }
        finally
        {
            Memory.Unmap(answers, Memory.PageSize);
        }
    }

    private static int Invoke(int number, uint first, uint second, uint third)
    {
        ulong page = Memory.MapAnonymous(Memory.PageSize, Memory.PROT_READ | Memory.PROT_WRITE);
        try
        {
            EmbeddedCode.Load("compat-call-x64.bin").CopyTo(new Span<byte>((void*)page, Memory.PageSize));
            Memory.Protect(page, Memory.PageSize, Memory.PROT_READ | Memory.PROT_EXEC);
            return ((delegate* unmanaged<int, uint, uint, uint, int>)page)(number, first, second, third);
        }
        finally
        {
            Memory.Unmap(page, Memory.PageSize);
        }
    }
}
