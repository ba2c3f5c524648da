using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>struct kernel_sigaction of x86-64, as rt_sigaction(2) takes it; the zero value is the default action.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct kernel_sigaction
{
    public ulong handler;
    public ulong flags;
    public ulong restorer;
    public ulong mask;
}
