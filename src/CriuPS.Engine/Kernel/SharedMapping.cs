using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>Memory of a file that this process shares with whoever else maps it.</summary>
internal sealed unsafe class SharedMapping : IDisposable
{
    private readonly ulong _address;
    private readonly int _length;

    /// <param name="file">The file.</param>
    /// <param name="offset">Where in it.</param>
    /// <param name="length">How many bytes; whole pages.</param>
    public SharedMapping(SafeFileHandle file, long offset, int length)
    {
        const int Access = Memory.PROT_READ | Memory.PROT_WRITE;
        long result = Syscall.Invoke(SyscallNumber.mmap, 0, length, Access, Memory.MAP_SHARED, file.DangerousGetHandle(), offset);
        (_address, _length) = ((ulong)Syscall.Check(result, () => $"mmap({length} bytes at 0x{offset:x})"), length);
    }

    public Span<byte> Bytes => new((void*)_address, _length);

    /// <summary>A word that the other side may change at any time.</summary>
    public uint Read(uint offset) => Volatile.Read(ref Word(offset));

    public void Write(uint offset, uint value) => Volatile.Write(ref Word(offset), value);

    public void Dispose() => Memory.Unmap(_address, (ulong)_length);

    private ref uint Word(uint offset) => ref System.Runtime.InteropServices.MemoryMarshal.AsRef<uint>(Bytes.Slice((int)offset, sizeof(uint)));
}
