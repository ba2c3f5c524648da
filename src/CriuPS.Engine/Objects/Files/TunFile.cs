using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Ids;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The file end of a tun or tap device (drivers/net/tun.c, struct tun_file). TUNGETIFF tells the device that it is attached to, if any, and whether its
/// queue takes part; the rest belongs to the device (<see cref="TunImages"/>). /dev/net/tun is opened again and attached by TUNSETIFF. In images it is two
/// entries with one id: a file with a name, and this.
/// </summary>
internal sealed class TunFile : IFileKind
{
    private static readonly RegularFile s_named = new();

    public FdTypes Type => FdTypes.Tunf;

    public bool Recognizes(OpenFile file) => file.Kind == FileStatus.S_IFCHR && file.Status.st_rdev == Device && (file.FileFlags & Fcntl.O_PATH) == 0;

    // Documentation/admin-guide/devices.txt: 10 200.
    private const ulong Device = (10 << 8) | 200;

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        const string Remedy = "close it before the dump", NotTold = "which the kernel does not give back";
        using SafeFileHandle process = PidFd.Open(file.Pid), tun = PidFd.GetFd(process, file.Fd);
        (string Name, int Flags)? device = TunDevice.Attached(tun);
        using SafeFileHandle ours = OpenAt.Open("/proc/self/ns/net", Fcntl.O_RDONLY);
        ulong own = FileStatus.Of(ours).st_ino;
        return TunDevice.NamespacesOf(tun, device is not null) != (own, own)
                ? ("it, or its network device, is in a network namespace that the tree does not live in", Remedy)
            : device is not { } attached ? null
            : (attached.Flags & TunDevice.IFF_TAP) != 0 && TunDevice.HasFilter(tun)
                ? ($"network device {attached.Name} has a filter, {NotTold}", "let the program take it away (TUNDETACHFILTER)")
            : HasProgram(file)
                ? ($"network device {attached.Name} has a BPF program or a filter of addresses, {NotTold}", "let the program take it away")
            : null;
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        images.Write(s_named.Save(file, held, id, images));
        TunfileEntry entry = new() { Id = id, NsId = SharedObjects.OfDumper().NetNsId };
        if (!images.Tree.IsExternal(file) && TunDevice.Attached(held.Handle) is { } device)
        {
            entry.Netdev = device.Name;
            if ((device.Flags & TunDevice.IFF_DETACH_QUEUE) != 0)
            {
                entry.Detached = true;
            }

            images.TunDevices.Save(entry, device.Flags, held.Handle);
        }

        return new FileEntry { Type = Type, Id = id, Tunf = entry };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        if (entry.Reg is null)
        {
            throw new CriuException("MalformedTun", CriuErrorKind.InvalidData, "the set does not tell which device it is opened by");
        }

        s_named.Validate(entry, opening);
        opening.TunDevices.Validate(entry.Tunf);
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        SafeFileHandle tun = s_named.Open(entry, opening);
        try
        {
            opening.TunDevices.Attach(tun, entry.Tunf);
            return tun;
        }
        catch
        {
            tun.Dispose();
            throw;
        }
    }

    // Only when nothing can fail any more: who would remove it?
    public void Settle(FileEntry entry, int fd, Compel.RemoteBatch batch, FileOpening opening)
    {
        if (opening.TunDevices.BecomesPersistent(entry.Tunf))
        {
            batch.Add($"ioctl(TUNSETPERSIST) of fd {fd}", SyscallNumber.ioctl, fd, TunDevice.TUNSETPERSIST, 1);
        }
    }

    // What no ioctl tells, a BPF program does; where it may not be asked, these are not noticed (docs/limits.md).
    private static bool HasProgram(OpenFile file)
    {
        try
        {
            KernelTypes types = KernelTypes.Running;
            BpfRow row = BpfRow.OfFiles(words: 6);
            int context = row.FromObject(types.OffsetOf("file", "private_data"));
            int device = row.FromAddress(context, types.OffsetOf("tun_file", "tun"));
            int steering = row.FromAddress(device, types.OffsetOf("tun_struct", "steering_prog"));
            int filter = row.FromAddress(device, types.OffsetOf("tun_struct", "filter_prog"));
            int addresses = row.FromAddress(device, types.OffsetOf("tun_struct", "txflt", "count"));
            ulong[] found = row.RunOnFile(file.Pid, file.Fd);
            return (found[steering] | found[filter] | (uint)found[addresses]) != 0;
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return false;
        }
    }
}
