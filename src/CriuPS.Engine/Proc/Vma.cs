namespace CriuPS.Engine.Proc;

/// <summary>What a mapping allows; the values are PROT_* of mmap(2).</summary>
[Flags]
public enum VmaProtection : byte
{
    /// <summary>Nothing: PROT_NONE.</summary>
    None = 0,

    /// <summary>PROT_READ.</summary>
    Read = 1,

    /// <summary>PROT_WRITE.</summary>
    Write = 2,

    /// <summary>PROT_EXEC.</summary>
    Execute = 4,
}

/// <summary>One virtual memory area, as a line of /proc/PID/maps describes it (proc_pid_maps(5)).</summary>
/// <param name="Start">First address.</param>
/// <param name="End">Address after the last.</param>
/// <param name="Protection">What the pages allow.</param>
/// <param name="Shared">Whether it was mapped with MAP_SHARED.</param>
/// <param name="Offset">Offset in the file, bytes; for some kinds without a file any number.</param>
/// <param name="DeviceMajor">Major number of the file's device, 0 without a file.</param>
/// <param name="DeviceMinor">Minor number of the file's device.</param>
/// <param name="Inode">Inode number, 0 without a file.</param>
/// <param name="Path">
/// Path of the file as the kernel sees it, or a name in brackets (<c>[heap]</c>, <c>[anon:NAME]</c>), or nothing. A removed file has the
/// suffix <c> (deleted)</c>, which is also a legal end of a file's name: only the file's link count decides.
/// </param>
public readonly record struct Vma(
    ulong Start,
    ulong End,
    VmaProtection Protection,
    bool Shared,
    ulong Offset,
    uint DeviceMajor,
    uint DeviceMinor,
    ulong Inode,
    OsText Path)
{
    /// <summary>Number of bytes.</summary>
    public ulong Length => End - Start;

    /// <summary>Whether it is the kernel's code for programs (vdso(7)); its data is in mappings of other names.</summary>
    public bool IsVdso => Path.Bytes.SequenceEqual("[vdso]"u8);

    /// <summary>Whether a file stands behind it; shared anonymous memory, memfd and SysV segments count, the vDSO does not.</summary>
    public bool HasFile => Inode != 0;

    /// <summary>Whether the kernel wrote <c> (deleted)</c> behind the path, or the file is called so.</summary>
    public bool HasDeletedSuffix => DeletedMark.IsBehind(Path.Bytes);

    /// <summary>The name of the link in /proc/PID/map_files, e.g. <c>7f12a000-7f12b000</c>.</summary>
    public string MapFileName => $"{Start:x}-{End:x}";
}
