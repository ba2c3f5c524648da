using System.Buffers.Binary;

namespace CriuPS.Engine.Proc;

/// <summary>An entry of the auxiliary vector (getauxval(3)).</summary>
/// <param name="Type">AT_* of include/uapi/linux/auxvec.h.</param>
/// <param name="Value">A number or an address.</param>
public readonly record struct AuxEntry(ulong Type, ulong Value);

/// <summary>/proc/PID/auxv: what the kernel told the program when it started (proc_pid_auxv(5)).</summary>
public static class Auxv
{
    /// <summary>Ends the vector.</summary>
    public const ulong AT_NULL = 0;

    private const int EntrySize = 16;

    /// <summary>Reads the vector, AT_NULL included; empty for kernel threads and zombies.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<AuxEntry> Read(ProcDirectory directory) => directory.Parse("auxv", Parse);

    /// <summary>Parses a vector of 64-bit entries.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>: it is cut, or of a 32-bit program.</exception>
    public static List<AuxEntry> Parse(ReadOnlySpan<byte> bytes, ProcSource source = default)
    {
        var entries = new List<AuxEntry>(bytes.Length / EntrySize);
        for (; bytes.Length >= EntrySize; bytes = bytes[EntrySize..])
        {
            entries.Add(new AuxEntry(BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..])));
        }

        bool complete = bytes.IsEmpty && (entries.Count == 0 || entries[^1].Type == AT_NULL);
        return complete ? entries : throw source.Malformed("pairs of 64-bit numbers that end with AT_NULL", bytes);
    }
}
