using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>struct kernel_sigaction of x86-64, arch/x86/include/uapi/asm/signal.h; the zero value is the default action.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KernelSigAction
{
    public ulong sa_handler;
    public ulong sa_flags;
    public ulong sa_restorer;
    public ulong sa_mask;
}
