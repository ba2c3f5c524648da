using System.Buffers.Binary;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Compel;

/// <summary>
/// The birth of a process out of a managed one: clone3(CLONE_VM | CLONE_VFORK) from a page of our own code, whose child does nothing but execveat
/// of a one-page static program that sleeps. No managed code ever runs in the child, and its memory is a page, a stack and the vDSO.
/// </summary>
internal static unsafe class Newborn
{
    /// <summary>Where the one page of a newborn lies; its tracer moves out of it before anything is mapped.</summary>
    public const ulong CradleAddress = 0x10000;

    private const int SIG_SETMASK = 2;
    private const int HeaderSize = 64, ProgramHeaderSize = 56, EntryOffset = HeaderSize + 2 * ProgramHeaderSize;

    /// <summary>The third argument of the birth function, see the assembler's BirthX64.</summary>
    private struct BirthArguments
    {
        public long descriptor;
        public byte* path;
        public byte** arguments;
        public byte** environment;
    }

    /// <summary>The address of the syscall instruction in a newborn.</summary>
    public static ulong SyscallAt(IArchitecture architecture) =>
        CradleAddress + EntryOffset + (ulong)EmbeddedCode.Load("cradle-x64.bin").AsSpan().IndexOf(architecture.SyscallInstruction);

    /// <summary>Brings a sleeping process into the world that dies with this thread.</summary>
    /// <param name="flags">Additional clone flags, e.g. CLONE_PARENT or namespaces.</param>
    /// <param name="wantedPid">Its pid; 0 for any.</param>
    /// <returns>Its pid.</returns>
    public static int Create(ulong flags = 0, int wantedPid = 0)
    {
        using SafeFileHandle program = MakeProgram();
        byte[] code = EmbeddedCode.Load("birth-x64.bin");
        ulong page = Memory.MapAnonymous(Memory.PageSize, Memory.PROT_READ | Memory.PROT_WRITE);
        try
        {
            code.CopyTo(new Span<byte>((void*)page, Memory.PageSize));
            Memory.Protect(page, Memory.PageSize, Memory.PROT_READ | Memory.PROT_EXEC);
            return Clone(page, program, flags, wantedPid);
        }
        finally
        {
            Memory.Unmap(page, Memory.PageSize);
        }
    }

    private static int Clone(ulong function, SafeFileHandle program, ulong flags, int wantedPid)
    {
        byte empty = 0;
        fixed (byte* name = "criups\0"u8)
        {
            byte** arguments = stackalloc byte*[] { name, null };
            byte** environment = stackalloc byte*[] { null };
            BirthArguments birth = new()
            {
                descriptor = program.DangerousGetHandle(), path = &empty, arguments = arguments, environment = environment,
            };
            bool toParent = (flags & Clone3.CLONE_PARENT) != 0;
            Clone3.clone_args args = new()
            {
                flags = Clone3.CLONE_VM | Clone3.CLONE_VFORK | Clone3.CLONE_CLEAR_SIGHAND | flags,
                exit_signal = toParent ? 0UL : Signals.SIGCHLD,
                set_tid = wantedPid == 0 ? 0UL : (ulong)&wantedPid,
                set_tid_size = wantedPid == 0 ? 0UL : 1,
            };

            // The child must not run our handlers: it begins, and stays, with all signals blocked.
            ulong all = ulong.MaxValue, old;
            Syscall.Check(Syscall.Invoke(SyscallNumber.rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, sizeof(ulong)), "rt_sigprocmask");
            long pid = ((delegate* unmanaged<Clone3.clone_args*, long, BirthArguments*, long>)function)(&args, sizeof(Clone3.clone_args), &birth);
            Syscall.Check(Syscall.Invoke(SyscallNumber.rt_sigprocmask, SIG_SETMASK, (long)&old, 0, sizeof(ulong)), "rt_sigprocmask");
            return (int)Syscall.Check(pid, () => $"clone3(flags 0x{flags:x})");
        }
    }

    private static SafeFileHandle MakeProgram()
    {
        SafeFileHandle file = MemFd.Create("criups"u8);
        RandomAccess.Write(file, BuildProgram(), 0);
        return file;
    }

    // A static ELF executable of one page (elf(5)): header, a readable and executable segment, a stack that is not executable, and the code.
    private static byte[] BuildProgram()
    {
        byte[] code = EmbeddedCode.Load("cradle-x64.bin");
        byte[] file = new byte[EntryOffset + code.Length];
        Span<byte> header = file;
        "\x7f"u8.CopyTo(header);
        "ELF"u8.CopyTo(header[1..]);
        (header[4], header[5], header[6]) = (2, 1, 1);
        BinaryPrimitives.WriteUInt16LittleEndian(header[16..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(header[18..], 62);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], CradleAddress + EntryOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], HeaderSize);
        BinaryPrimitives.WriteUInt16LittleEndian(header[52..], HeaderSize);
        BinaryPrimitives.WriteUInt16LittleEndian(header[54..], ProgramHeaderSize);
        BinaryPrimitives.WriteUInt16LittleEndian(header[56..], 2);
        WriteProgramHeader(header[HeaderSize..], type: 1, flags: 5, CradleAddress, (ulong)file.Length);
        WriteProgramHeader(header[(HeaderSize + ProgramHeaderSize)..], type: 0x6474e551, flags: 6, 0, 0);
        code.CopyTo(file.AsSpan(EntryOffset));
        return file;
    }

    private static void WriteProgramHeader(Span<byte> header, uint type, uint flags, ulong address, ulong size)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], flags);
        BinaryPrimitives.WriteUInt64LittleEndian(header[16..], address);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], address);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], size);
        BinaryPrimitives.WriteUInt64LittleEndian(header[40..], size);
        BinaryPrimitives.WriteUInt64LittleEndian(header[48..], Memory.PageSize);
    }
}
