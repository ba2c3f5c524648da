using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// The funnel of all system calls: numbers in <see cref="SyscallNumber"/>, results as the kernel gives them (a value, or minus an errno).
/// Each family of calls has a file beside this one with thin typed methods; policy lives elsewhere.
/// </summary>
internal static partial class Syscall
{
    /// <summary>Runs a system call; the result is the kernel's: a value, or -errno.</summary>
    public static long Invoke(long number, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0, long a5 = 0)
    {
        long result = LibcSyscall(number, a0, a1, a2, a3, a4, a5);
        return result == -1 ? -Marshal.GetLastPInvokeError() : result;
    }

    /// <summary>Passes a good result through and turns -errno into a <see cref="KernelException"/>.</summary>
    /// <param name="result">What <see cref="Invoke"/> returned.</param>
    /// <param name="call">The call and the arguments that matter; interpolated only on failure by callers that use a lambda.</param>
    public static long Check(long result, Func<string> call) => IsError(result) ? throw new KernelException(call(), (int)-result) : result;

    /// <inheritdoc cref="Check(long, Func{string})"/>
    public static long Check(long result, string call) => IsError(result) ? throw new KernelException(call, (int)-result) : result;

    /// <summary>Whether a result is one of the 4095 values that mean an error.</summary>
    public static bool IsError(long result) => result is < 0 and >= -4095;

    // The C library's wrapper takes a variable argument list; on x86-64 and arm64 those go where fixed integer arguments go.
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long LibcSyscall(long number, long a0, long a1, long a2, long a3, long a4, long a5);
}
