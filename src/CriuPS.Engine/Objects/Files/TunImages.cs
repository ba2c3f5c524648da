using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The dump's half of tun and tap devices that files are attached to (struct tun_struct): rtnetlink(7) tells name, number, owner and flags, TUNGETSNDBUF and
/// TUNGETVNETHDRSZ the rest. A device that is not persistent ends with its last file.
/// </summary>
/// <param name="set">The image set.</param>
internal sealed class TunImages(ImageSet set)
{
    private readonly HashSet<string> _saved = [];
    private ImageWriter? _devices;

    /// <summary>Saves the device of a file unless that is done already.</summary>
    /// <param name="file">The file's entry.</param>
    /// <param name="flags">What TUNGETIFF told.</param>
    /// <param name="handle">The file.</param>
    public void Save(TunfileEntry file, int flags, SafeFileHandle handle)
    {
        if (!_saved.Add(file.Netdev))
        {
            return;
        }

        if (NetworkLink.Find(file.Netdev) is not { Tun: { } tun } link)
        {
            throw new CriuException("TunDeviceUnknown", CriuErrorKind.NotSupported, $"rtnetlink does not tell of the tun device {file.Netdev}")
            {
                Subject = file.Netdev, Remedy = "Linux 4.17 or later is needed",
            };
        }

        int kept = (flags & (TunDevice.Features & ~TunDevice.IFF_NO_PI)) | (tun.IsTap ? TunDevice.IFF_TAP : TunDevice.IFF_TUN)
            | (tun.HasPacketInformation ? 0 : TunDevice.IFF_NO_PI) | (tun.IsPersistent ? TunDevice.IFF_PERSIST : 0);
        NetDeviceEntry device = new()
        {
            Type = NdType.Tun, Ifindex = (uint)link.Index, Mtu = link.Mtu, Flags = link.Flags, Name = file.Netdev, Address = ByteString.CopyFrom(link.Address),
            Tun = new TunLinkEntry
            {
                Flags = (uint)kept, Owner = tun.Owner, Group = tun.Group,
                Vnethdr = (uint)TunDevice.HeaderSize(handle), Sndbuf = (uint)TunDevice.SendBuffer(handle),
            },
        };
        (_devices ??= set.CreateWriter(ImageType.NetDev, file.NsId)).Write(device);
    }
}

/// <summary>
/// The restore's half: a device that is still there is used, another one is made again, down to its number and address, by the first file that is attached
/// to it.
/// </summary>
/// <param name="set">The image set.</param>
internal sealed class TunOpening(ImageSet set)
{
    private const ushort ARPHRD_ETHER = 1;

    private readonly Dictionary<uint, Dictionary<string, NetDeviceEntry>> _byNamespace = [];
    private readonly HashSet<string> _attached = [], _made = [];

    /// <summary>Fails if the device of a file cannot be had as it was.</summary>
    public void Validate(TunfileEntry file)
    {
        if (Find(file) is not { } saved)
        {
            return;
        }

        bool isTap = (saved.Tun.Flags & TunDevice.IFF_TAP) != 0, hasQueues = (saved.Tun.Flags & TunDevice.IFF_MULTI_QUEUE) != 0;
        if (NetworkLink.Find(saved.Name) is { } there)
        {
            bool fits = there.Tun is { } tun && tun.IsTap == isTap && tun.HasQueues == hasQueues && (tun.IsPersistent || tun.HasQueues);
            if (!fits)
            {
                throw Conflict(saved, $"the name of network device {saved.Name} has been given to another one, or somebody uses it");
            }
        }
        else if (NetworkLink.Find((int)saved.Ifindex) is not null)
        {
            throw Conflict(saved, $"the number {saved.Ifindex} of network device {saved.Name} has been given to another one");
        }
    }

    /// <summary>Attaches a file to its device, if it has one.</summary>
    public void Attach(SafeFileHandle tun, TunfileEntry file)
    {
        if (Find(file) is not { } saved)
        {
            return;
        }

        bool isFirst = _attached.Add(saved.Name), isNew = isFirst && NetworkLink.Find(saved.Name) is null;
        if (isNew)
        {
            TunDevice.SetIndex(tun, (int)saved.Ifindex);
        }

        TunDevice.Attach(tun, saved.Name, (int)saved.Tun.Flags & (TunDevice.Features | TunDevice.IFF_TUN | TunDevice.IFF_TAP));
        if (isFirst)
        {
            TunDevice.SetSendBuffer(tun, (int)saved.Tun.Sndbuf);
            TunDevice.SetHeaderSize(tun, (int)saved.Tun.Vnethdr);
        }

        if (isNew)
        {
            _made.Add(saved.Name);
            Configure(tun, saved);
        }

        if (file.Detached)
        {
            TunDevice.Detach(tun);
        }
    }

    /// <summary>Whether a device was made that must stay without its files; asked once for each.</summary>
    public bool BecomesPersistent(TunfileEntry file) =>
        Find(file) is { } saved && (saved.Tun.Flags & TunDevice.IFF_PERSIST) != 0 && _made.Remove(saved.Name);

    private static void Configure(SafeFileHandle tun, NetDeviceEntry saved)
    {
        if (saved.Tun.Owner != -1)
        {
            TunDevice.SetOwner(tun, saved.Tun.Owner);
        }

        if (saved.Tun.Group != -1)
        {
            TunDevice.SetGroup(tun, saved.Tun.Group);
        }

        bool isTap = (saved.Tun.Flags & TunDevice.IFF_TAP) != 0;
        TunDevice.Configure(saved.Name, ARPHRD_ETHER, isTap ? saved.Address.Span : default, (int)saved.Mtu, saved.Flags);
    }

    private NetDeviceEntry? Find(TunfileEntry file)
    {
        if (!file.HasNetdev)
        {
            return null;
        }

        if (!_byNamespace.TryGetValue(file.NsId, out Dictionary<string, NetDeviceEntry>? devices))
        {
            IEnumerable<NetDeviceEntry> all = set.ReadAll<NetDeviceEntry>(ImageType.NetDev, file.NsId);
            devices = _byNamespace[file.NsId] = all.DistinctBy(d => d.Name).ToDictionary(d => d.Name);
        }

        bool isSound = devices.TryGetValue(file.Netdev, out NetDeviceEntry? saved) && saved.Tun is not null
            && Encoding.UTF8.GetByteCount(saved.Name) < TunDevice.IFNAMSIZ;
        return isSound
            ? saved!
            : throw new ImageException(ImageException.MalformedEntry, ImageType.NetDev.FileName(file.NsId), 0, $"it lacks the tun device {file.Netdev}");
    }

    private static CriuException Conflict(NetDeviceEntry saved, string reason) => new("NetworkDeviceInUse", CriuErrorKind.AlreadyExists, reason)
    {
        Subject = saved.Name, Remedy = "delete that network device, or end the program that uses it",
    };
}
