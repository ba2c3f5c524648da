using System.Runtime.InteropServices;

namespace CriuPS.Engine.Compel;

/// <summary>stack_t of sigaltstack(2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StackT
{
    public const int Size = 24;

    /// <summary>ss_flags: the task runs on it; there is none.</summary>
    public const int SS_ONSTACK = 1, SS_DISABLE = 2;

    public ulong ss_sp;
    public int ss_flags;
    public ulong ss_size;
}
