using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using Google.Protobuf;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class ImageJsonTests
{
    private static readonly int s_seed = Environment.TickCount;

    public static TheoryData<string> Kinds => [.. ImageType.All.Where(type => !type.IsRaw).Select(type => type.ToString())];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void An_image_is_the_same_after_a_way_through_json(string kind)
    {
        ImageType type = ImageType.All.Single(type => type.ToString() == kind);
        for (int seed = s_seed; seed < s_seed + 5; seed++)
        {
            using var directory = new TemporaryDirectory();
            string path = new ImageContent(type, seed).WriteTo(directory);
            byte[] json = ToJson(path, type);
            Assert.True(File.ReadAllBytes(path).AsSpan().SequenceEqual(FromJson(json, directory)), $"seed {seed}: {Encoding.UTF8.GetString(json)}");
        }
    }

    [Fact]
    public void Names_that_are_no_text_survive_json()
    {
        byte[] name = [(byte)'/', 0xff, (byte)'"', (byte)'\\', 0xc3, 0xa9, 0x80, (byte)'\n', 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xb2, 0x80];
        var file = new RegFileEntry { Id = 1, Flags = 0, Pos = 0, Fown = NoOwner(), Name = ByteString.CopyFrom(name) };
        using var directory = new TemporaryDirectory();
        using (ImageSet set = ImageSet.Create(directory["set"]))
        {
            set.WriteSingle(ImageType.RegFiles, null, file);
            File.Copy(directory["set/reg-files.img"], directory["reg-files.img"]);
        }

        byte[] json = ToJson(directory["reg-files.img"], ImageType.RegFiles);
        Assert.Contains("\\udcff", Encoding.UTF8.GetString(json), StringComparison.Ordinal);
        Assert.Equal(File.ReadAllBytes(directory["reg-files.img"]), FromJson(json, directory));
    }

    [Fact]
    public void The_form_for_people_is_understood()
    {
        const string Json = """
            {"magic": "MM", "entries": [{
              "mm_start_code": "0x400000", "mm_end_code": "0xffffffffffffffff", "mm_start_data": "0x0", "mm_end_data": 5, "mm_start_stack": "7",
              "mm_start_brk": 0, "mm_brk": 0, "mm_arg_start": 0, "mm_arg_end": 0, "mm_env_start": 0, "mm_env_end": 0, "exe_file_id": 1,
              "vmas": [{"start": "0x1000", "end": "0x2000", "pgoff": 0, "shmid": 0, "prot": "PROT_READ | PROT_EXEC", "fd": -1,
                        "flags": "MAP_PRIVATE | MAP_ANON | 0x4000000", "status": ""}]}]}
            """;
        using var directory = new TemporaryDirectory();
        MmEntry mm = ReadBack<MmEntry>(Json, ImageType.Mm, directory);
        Assert.Equal((0x400000UL, ulong.MaxValue, 7UL), (mm.MmStartCode, mm.MmEndCode, mm.MmStartStack));
        Assert.Equal((5u, 0x4000022u, 0u, -1L), (mm.Vmas[0].Prot, mm.Vmas[0].Flags, mm.Vmas[0].Status, mm.Vmas[0].Fd));
        const string Sockets = """
            {"magic": "INETSK", "entries": [{"id": 1, "ino": 2, "family": "INET6", "type": "STREAM", "proto": "TCP", "state": "LISTEN",
              "src_port": 80, "dst_port": 0, "flags": "0x2", "backlog": 5, "src_addr": ["fe80::1"], "dst_addr": ["10.0.0.5"],
              "fown": {"uid": 0, "euid": 0, "signum": 0, "pid_type": 0, "pid": 0},
              "opts": {"so_sndbuf": 0, "so_rcvbuf": 0, "so_snd_tmo_sec": 0, "so_snd_tmo_usec": 0, "so_rcv_tmo_sec": 0, "so_rcv_tmo_usec": 0}}]}
            """;
        InetSkEntry socket = ReadBack<InetSkEntry>(Sockets, ImageType.InetSockets, directory);
        Assert.Equal((10u, 1u, 6u, 10u), (socket.Family, socket.Type, socket.Proto, socket.State));
        Assert.Equal([0x80feu, 0, 0, 0x01000000u], socket.SrcAddr);
        Assert.Equal([0x0500000au], socket.DstAddr);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("{\"magic\": \"PAGES\", \"entries\": []}")]
    [InlineData("{\"magic\": \"FS\"}")]
    [InlineData("{\"magic\": \"FS\", \"entries\": [{\"cwd_id\": 1}]}")]
    [InlineData("{\"magic\": \"FS\", \"entries\": [{\"cwd_id\": 1, \"root_id\": -1}]}")]
    [InlineData("{\"magic\": \"FS\", \"entries\": [{\"cwd_id\": 1, \"root_id\": 4294967296}]}")]
    [InlineData("{\"magic\": \"FS\", \"entries\": [{\"cwd_id\": 1, \"root_id\": 1.5}]}")]
    [InlineData("{\"magic\": \"FS\", \"entries\": [{\"cwd_id\": 1, \"root_id\": \"x\"}]}")]
    [InlineData("{\"magic\": \"FS\", \"entries\": [{\"cwd_id\": 1, \"root_id\": null}]}")]
    [InlineData("{\"magic\": \"FS\", \"entries\": [{\"cwd_id\": 1, \"root_id\": 2, \"umsk\": 3}]}")]
    [InlineData("{\"magic\": \"FS\", \"entries\": [{\"cwd_id\": 1, \"root_id\": 2, \"extra\": \"\"}]}")]
    [InlineData("{\"magic\": \"PIPES_DATA\", \"entries\": [{\"pipe_id\": 1, \"bytes\": 2, \"extra\": \"AA==\"}]}")]
    [InlineData("{\"magic\": \"PIPES_DATA\", \"entries\": [{\"pipe_id\": 1, \"bytes\": 1, \"extra\": \"A\"}]}")]
    public void What_is_no_image_is_refused(string json)
    {
        using var directory = new TemporaryDirectory();
        CriuException e = Assert.Throws<CriuException>(() => FromJson(Encoding.UTF8.GetBytes(json), directory));
        Assert.Equal(("BadImageJson", CriuErrorKind.InvalidData), (e.Id, e.Kind));
    }

    internal static byte[] ToJson(string path, ImageType type)
    {
        using ImageReader reader = ImageReader.Open(File.OpenHandle(path), path, type);
        using var json = new MemoryStream();
        ImageJsonWriter.Write(reader, json);
        return json.ToArray();
    }

    internal static byte[] FromJson(byte[] json, TemporaryDirectory directory)
    {
        string path = directory["from-json"];
        File.Delete(path);
        ImageJsonReader.Read(new MemoryStream(json), type => ImageWriter.Create(path, type));
        return File.ReadAllBytes(path);
    }

    internal static FownEntry NoOwner() => new() { Uid = 0, Euid = 0, Signum = 0, PidType = 0, Pid = 0 };

    private static T ReadBack<T>(string json, ImageType type, TemporaryDirectory directory)
        where T : class, IMessage<T>, new()
    {
        _ = FromJson(Encoding.UTF8.GetBytes(json), directory);
        using ImageReader reader = ImageReader.Open(File.OpenHandle(directory["from-json"]), "from-json", type);
        return reader.Read<T>()!;
    }
}
