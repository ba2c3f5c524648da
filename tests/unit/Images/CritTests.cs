using System.Diagnostics;
using System.Text.Json;
using CriuPS.Engine.Images;
using Google.Protobuf;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class CritTests
{
    private static readonly int s_seed = Environment.TickCount;

    // crit of Debian 12 fails on its own output here: it takes text for bytes.
    private static readonly ImageType[] s_cannotEncode = [ImageType.BpfMapData, ImageType.IpcNsShm];

    [Fact]
    public void Crit_reads_in_our_images_what_we_read_in_them()
    {
        using var crit = new Crit();
        Assert.SkipUnless(crit.IsInstalled, "crit is not installed");
        var kinds = Kinds(crit).ToDictionary(type => type, type => new ImageContent(type, s_seed, message => Adapt(message, crit)));
        using var directory = new TemporaryDirectory();
        foreach ((ImageType type, ImageContent content) in kinds)
        {
            crit.Give($"{type.Name}.img", File.ReadAllBytes(content.WriteTo(directory)));
        }

        crit.Work();
        Assert.All(kinds.Keys, type =>
        {
            JsonElement theirs = JsonDocument.Parse(File.ReadAllText(crit.Take($"{type.Name}.img", $"{type.Name}.img.out"))).RootElement;
            byte[] json = ImageJsonTests.ToJson(directory[type.FileName(type.HasId ? 7UL : null)], type);
            JsonElement ours = JsonDocument.Parse(json).RootElement;
            Assert.True(JsonElement.DeepEquals(theirs, ours), $"seed {s_seed}, {type.Name}:\n{theirs}\n{ours}");
        });
    }

    [Fact]
    public void We_read_in_images_of_crit_what_was_meant()
    {
        using var crit = new Crit();
        Assert.SkipUnless(crit.IsInstalled, "crit is not installed");
        var kinds = Kinds(crit).Except(s_cannotEncode)
            .ToDictionary(type => type, type => new ImageContent(type, s_seed, message => Adapt(message, crit)));
        using var directory = new TemporaryDirectory();
        foreach ((ImageType type, ImageContent content) in kinds)
        {
            crit.Give($"{type.Name}.in", ImageJsonTests.ToJson(content.WriteTo(directory), type));
        }

        crit.Work();
        Assert.All(kinds, pair =>
        {
            string path = crit.Take($"{pair.Key.Name}.in", $"{pair.Key.Name}.back");
            using ImageReader reader = ImageReader.Open(File.OpenHandle(path), path, pair.Key);
            foreach ((IMessage message, byte[] payload) in pair.Value.Entries)
            {
                IMessage? read = reader.Read();
                Assert.True(message.Equals(read), $"seed {s_seed}, {pair.Key.Name}:\n{message}\n{read}");
                Assert.Equal(payload, ImageContent.ReadPayload(reader));
            }

            Assert.Null(reader.Read());
        });
    }

    [Fact]
    public void The_command_shows_and_encodes_our_files()
    {
        using var crit = new Crit();
        Assert.SkipUnless(crit.IsInstalled, "crit is not installed");
        using var directory = new TemporaryDirectory();
        var tree = new PstreeEntry { Pid = 812, Ppid = 0, Pgid = 812, Sid = 800, Threads = { 812, 813 } };
        using (ImageSet set = ImageSet.Create(directory["set"]))
        {
            set.WriteSingle(ImageType.PsTree, null, tree);
            PageMapTests.Write(set, 812, [(16, 3, PageFlags.Present)]);
            set.Complete(new InventoryEntry { FdinfoPerId = true });
        }

        string shown = RunCrit("show", directory["set/pstree.img"]);
        Assert.Equal([812, 813], JsonDocument.Parse(shown).RootElement.GetProperty("entries")[0].GetProperty("threads").EnumerateArray()
            .Select(number => number.GetInt32()));
        Assert.Contains("\"img_version\": 2", RunCrit("show", directory["set/inventory.img"]), StringComparison.Ordinal);
        Assert.Equal(3, JsonDocument.Parse(RunCrit("show", directory["set/pagemap-812.img"])).RootElement.GetProperty("entries")[1]
            .GetProperty("nr_pages").GetInt32());
        File.WriteAllText(directory["pstree.json"], shown);
        RunCrit("encode", "-i", directory["pstree.json"], "-o", directory["pstree.img"]);
        using ImageReader reader = ImageReader.Open(File.OpenHandle(directory["pstree.img"]), "pstree.img", ImageType.PsTree);
        Assert.Equal(tree, reader.Read());
    }

    // Kinds that share a name share a file in the test; one of them is enough.
    private static IEnumerable<ImageType> Kinds(Crit crit) =>
        ImageType.All.Where(type => !type.IsRaw && crit.Knows(type)).DistinctBy(type => type.Name);

    private static void Adapt(IMessage message, Crit crit)
    {
        crit.Prune(message);
        if (message is IpcShmEntry segment)
        {
            // It takes the content for being in the file even if the entry says that it is elsewhere.
            segment.ClearInPagemaps();
        }
    }

    private static string RunCrit(params string[] arguments)
    {
        var start = new ProcessStartInfo("/usr/bin/crit", arguments) { RedirectStandardOutput = true };
        using Process crit = Process.Start(start)!;
        string output = crit.StandardOutput.ReadToEnd();
        crit.WaitForExit();
        Assert.Equal(0, crit.ExitCode);
        return output;
    }
}
