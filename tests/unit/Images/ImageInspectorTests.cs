using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class ImageInspectorTests
{
    // Properties that every object has beside the fields of its message.
    private static readonly string[] s_common = ["ImageType", "ImageId", "FileName", "ImageDirectory", "EntryOffset", "PayloadSize"];

    private static readonly int s_seed = Environment.TickCount;

    [Fact]
    public void Numbers_are_shown_as_what_they_mean()
    {
        var vma = new VmaEntry { Start = 0x400000, End = 0x401000, Pgoff = 4096, Shmid = 3, Prot = 5, Flags = 0x4002, Status = 0x41, Fd = -1 };
        ImageMessage shown = Show(ImageType.Vmas, 1, vma);
        Assert.Equal("vma_entry", shown.Name);
        Assert.Equal("0x400000", Field(shown, "start").ToString());
        Assert.Equal(4096UL, Field(shown, "pgoff"));
        Assert.Equal("PROT_READ | PROT_EXEC", Field(shown, "prot").ToString());
        Assert.Equal("MAP_PRIVATE | MAP_NORESERVE", Field(shown, "flags").ToString());
        Assert.Equal("VMA_AREA_REGULAR | VMA_FILE_PRIVATE", Field(shown, "status").ToString());
        Assert.Equal(-1L, Field(shown, "fd"));
        Assert.DoesNotContain(shown.Fields, field => field.Name == "madv");
    }

    [Theory]
    [InlineData(0u, "O_RDONLY")]
    [InlineData(0x8401u, "O_WRONLY | O_APPEND | O_LARGEFILE")]
    [InlineData(0x210000u, "O_RDONLY | O_DIRECTORY | O_PATH")]
    [InlineData(0x80000002u, "O_RDWR | 0x80000000")]
    public void Open_flags_always_tell_the_access_mode(uint flags, string expected)
    {
        var file = new RegFileEntry
        {
            Id = 1, Flags = flags, Pos = 0, Fown = ImageJsonTests.NoOwner(), Name = ByteString.CopyFromUtf8("/tmp/é"), MntId = -1,
        };
        ImageMessage shown = Show(ImageType.RegFiles, null, file);
        Assert.Equal(expected, Field(shown, "flags").ToString());
        Assert.Equal(flags, (ulong)(FlagSet)Field(shown, "flags"));
        Assert.Equal("/tmp/é", Field(shown, "name"));
        Assert.Equal(-1, Field(shown, "mnt_id"));
        Assert.Equal("fown_entry", Assert.IsType<ImageMessage>(Field(shown, "fown")).Name);
    }

    [Fact]
    public void Registers_are_hexadecimal_because_the_message_around_them_is()
    {
        var random = new RandomMessage(s_seed);
        var core = (CoreEntry)random.Make(CoreEntry.Descriptor);
        core.ThreadInfo = (ThreadInfoX86)random.Make(ThreadInfoX86.Descriptor);
        core.ThreadInfo.Gpregs.Ip = 0x7f0011223344;
        core.Tc = (TaskCoreEntry)random.Make(TaskCoreEntry.Descriptor);
        core.Tc.TaskState = 1;
        core.Mtype = CoreEntryMarch.X8664;
        ImageMessage shown = Show(ImageType.Core, 7, core);
        var registers = (ImageMessage)Field((ImageMessage)Field(shown, "thread_info"), "gpregs");
        Assert.Equal("0x7f0011223344", Field(registers, "ip").ToString());
        Assert.Equal("X86_64", Field(shown, "mtype"));
        Assert.Equal("ALIVE", Field((ImageMessage)Field(shown, "tc"), "task_state"));
    }

    [Fact]
    public void Addresses_names_and_devices_are_readable()
    {
        var random = new RandomMessage(s_seed);
        var socket = (InetSkEntry)random.Make(InetSkEntry.Descriptor);
        socket.Family = 2;
        socket.State = 77;
        socket.SrcAddr.Clear();
        socket.SrcAddr.Add(0x0500000a);
        socket.DstAddr.Clear();
        socket.DstAddr.Add([0x80feu, 0u, 0u, 0x01000000u]);
        ImageMessage shown = Show(ImageType.InetSockets, null, socket);
        Assert.Equal(("INET", 77u), (Field(shown, "family"), Field(shown, "state")));
        Assert.Equal(("10.0.0.5", "fe80::1"), (Field(shown, "src_addr"), Field(shown, "dst_addr")));
        var unix = (UnixSkEntry)random.Make(UnixSkEntry.Descriptor);
        unix.Name = ByteString.CopyFromUtf8("\0chat");
        Assert.Equal("@chat", Field(Show(ImageType.UnixSockets, null, unix), "name"));
        unix.Name = ByteString.CopyFromUtf8("/run/chat\0");
        Assert.Equal("/run/chat", Field(Show(ImageType.UnixSockets, null, unix), "name"));
        var mount = (MntEntry)random.Make(MntEntry.Descriptor);
        (mount.Fstype, mount.RootDev) = (5, (8u << 20) | 1);
        ImageMessage mounted = Show(ImageType.MountPoints, 1, mount);
        Assert.Equal(("TMPFS", "8:1"), (Field(mounted, "fstype"), Field(mounted, "root_dev")));
    }

    [Fact]
    public void Every_kind_of_image_can_be_shown()
    {
        Assert.All(ImageType.All.Where(type => !type.IsRaw), type =>
        {
            using var directory = new TemporaryDirectory();
            var content = new ImageContent(type, s_seed);
            string path = content.WriteTo(directory);
            ImageEntry[] entries = [.. new ImageInspector().Read(path, type, 7)];
            Assert.Equal(content.Entries.Select(entry => entry.Message.Descriptor.Name), entries.Select(entry => entry.Message!.Name));
            Assert.Equal(content.Entries.Sum(entry => (long)entry.Payload.Length), entries.Sum(entry => entry.PayloadBytes ?? 0));
            Assert.All(entries, entry => Assert.Equal(type.Payload != ImagePayload.None, entry.PayloadBytes is not null));
        });
    }

    [Fact]
    public void No_field_has_the_name_of_a_property_that_all_objects_have()
    {
        Assert.All(ImageType.All.SelectMany(type => new MessageDescriptor?[] { type.Message, type.FollowingMessage }).OfType<MessageDescriptor>(),
            message => Assert.All(message.Fields.InFieldNumberOrder(),
                field => Assert.DoesNotContain(field.Name, s_common, StringComparer.OrdinalIgnoreCase)));
    }

    [Fact]
    public void Entries_before_the_damage_are_shown()
    {
        using var directory = new TemporaryDirectory();
        string path = directory["pstree.img"];
        using (ImageWriter writer = ImageWriter.Create(path, ImageType.PsTree))
        {
            writer.Write(new PstreeEntry { Pid = 1, Ppid = 0, Pgid = 1, Sid = 1 });
            writer.Write(new PstreeEntry { Pid = 2, Ppid = 1, Pgid = 1, Sid = 1 });
        }

        using (FileStream file = File.OpenWrite(path))
        {
            file.SetLength(file.Length - 1);
        }

        using IEnumerator<ImageEntry> entries = new ImageInspector().Read(path, ImageType.PsTree, null).GetEnumerator();
        Assert.True(entries.MoveNext());
        Assert.Equal(1u, Field(entries.Current.Message!, "pid"));
        ImageException e = Assert.Throws<ImageException>(() => entries.MoveNext());
        Assert.Equal((ImageException.TruncatedImage, path), (e.Id, e.FileName));
    }

    [Fact]
    public void A_file_is_known_by_its_name_or_by_its_magic_and_raw_files_have_a_size()
    {
        using var directory = new TemporaryDirectory();
        var inspector = new ImageInspector();
        File.Move(new ImageContent(ImageType.Fs, s_seed).WriteTo(directory), directory["copy-of-fs"]);
        Assert.Equal(new ImageFile("copy-of-fs", ImageType.Fs, null), inspector.Identify(directory["copy-of-fs"]));
        Assert.Equal(new ImageFile("fs-9.img", ImageType.Fs, 9), inspector.Identify(directory["fs-9.img"]));
        File.WriteAllText(directory["notes.txt"], "no image");
        Assert.Equal(ImageException.BadMagic, Assert.Throws<ImageException>(() => inspector.Identify(directory["notes.txt"])).Id);
        Assert.Throws<KernelException>(() => inspector.Identify(directory["nothing"]));
        File.WriteAllText(directory["pages-3.img"], "12345678");
        ImageEntry pages = Assert.Single(inspector.Read(directory["pages-3.img"], ImageType.Pages, 3));
        Assert.Equal((8L, (ImageMessage?)null), (pages.PayloadBytes!.Value, pages.Message));
    }

    [Fact]
    public void Hexadecimal_numbers_can_be_counted_with()
    {
        HexNumber start = 0x1000UL, end = 0x3000UL;
        Assert.Equal(0x2000, end - start);
        Assert.True(start < end && end >= start && start.CompareTo(0x1000) == 0 && start.CompareTo((object)end) < 0);
        Assert.Equal("0xffffffffffffffff", new HexNumber(ulong.MaxValue).ToString());
        Assert.Throws<ArgumentException>(() => start.CompareTo("x"));
    }

    private static object Field(ImageMessage message, string name) => message.Fields.Single(field => field.Name == name).Value;

    private static ImageMessage Show(ImageType type, ulong? id, IRequiredFields message)
    {
        using var directory = new TemporaryDirectory();
        string path = directory[type.FileName(id)];
        using (ImageWriter writer = ImageWriter.Create(path, type))
        {
            writer.Write(message);
        }

        return Assert.Single(new ImageInspector().Read(path, type, id)).Message!;
    }
}
