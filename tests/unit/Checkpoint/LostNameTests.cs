using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Files that have lost their name, as far as options and the names themselves matter.</summary>
public sealed class LostNameTests
{
    [Fact]
    public void A_file_with_another_name_stays_that_file()
    {
        using Target target = Target.Start("replaced_files");
        for (int round = 0; round < 2; round++)
        {
            Dump(target, FinalState.Kill);
            Assert.Single(Links(target));
            Restore(target);
            Assert.Empty(Links(target));
            Assert.Equal(["library", "other name"], Directory.GetFiles($"{target.Folder}/status.d").Select(Path.GetFileName).Order());
        }

        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_name_that_cannot_be_removed_after_a_restore_is_told_and_keeps_nothing_else()
    {
        using Target target = Target.Start("replaced_files");
        string status = Path.Join(target.Folder, "status");
        new DumpOperation(Options(target, FinalState.Kill) with { IncludedContent = ["*/status"] }).Run();
        string link = Assert.Single(Links(target));
        File.AppendAllText(status, "later\n");
        List<string> told = [];
        RestoreOptions options = new() { ImagesDirectory = target.Images, FilePolicies = [new FilePolicy("*/status", ChangedFile.Saved)] };
        new RestoreOperation(options, e =>
        {
            // By now the file behind the link has been opened.
            if (e.Stage == Stage.Resume && e.Level == EventLevel.Information)
            {
                File.Delete(link);
                Directory.CreateDirectory(link);
            }
            else if (e.Level == EventLevel.Error)
            {
                told.Add(e.Message);
            }
        }).Run();
        Assert.Contains(link, Assert.Single(told));
        Assert.Equal("ready\n", File.ReadAllText(status));
        Assert.Empty(Directory.GetFiles(target.Folder, "*.criups-*"));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_name_that_a_dump_gave_is_taken_back_when_the_dump_fails()
    {
        using Target target = Target.Start("replaced_files");
        bool seen = false;
        DumpOperation dump = new(Options(target, FinalState.Kill), e =>
        {
            if (e.Stage == Stage.Images)
            {
                seen = Links(target).Length == 1;
                throw new CriuException("Wanted", CriuErrorKind.Busy, "no");
            }
        });
        Assert.Equal("Wanted", Assert.Throws<CriuException>(() => dump.Run()).Id);
        Assert.True(seen);
        Assert.Empty(Links(target));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_program_that_runs_on_leaves_no_name_behind()
    {
        using Target target = Target.Start("replaced_files");
        Dump(target, FinalState.Run);
        Assert.Empty(Links(target));
        using ImageSet images = ImageSet.Open(target.Images);
        Assert.All(images.ReadAll<RemapFilePathEntry>(ImageType.RemapFilePath), r => Assert.Equal(RemapType.Ghost, r.RemapType));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void What_is_not_allowed_is_refused_with_the_option_that_allows_it()
    {
        using Target replaced = Target.Start("replaced_files"), deleted = Target.Start("deleted_files");
        IReadOnlyList<Refusal> refusals = new DumpOperation(Options(replaced, FinalState.Kill) with { LinkRemap = false }).Preflight();
        Assert.Contains(refusals, r => r.Subject.Contains("status.d/name (deleted)") && r.Remedy.Contains("-LinkRemap"));
        Assert.All(refusals, r => Assert.Contains("-LinkRemap", r.Remedy));

        refusals = new DumpOperation(Options(deleted, FinalState.Kill) with { GhostLimit = 100_000 }).Preflight();
        Assert.NotEmpty(refusals);
        Assert.All(refusals, r => Assert.Contains("-GhostLimit", r.Remedy));
        Assert.Equal("ok", replaced.Finish());
        Assert.Equal("ok", deleted.Finish());
    }

    [Fact]
    public void A_damaged_ghost_is_an_error_and_leaves_no_name()
    {
        using Target target = Target.Start("deleted_files");
        Dump(target, FinalState.Kill);
        string before = string.Join(' ', Directory.GetFileSystemEntries($"{target.Folder}/status.d"));
        foreach (string ghost in Directory.GetFiles(target.Images, "ghost-file-*.img"))
        {
            using FileStream file = File.OpenWrite(ghost);
            file.SetLength(file.Length - 1);
        }

        Assert.ThrowsAny<CriuException>(() => Restore(target));
        Assert.Equal(before, string.Join(' ', Directory.GetFileSystemEntries($"{target.Folder}/status.d")));
    }

    private static string[] Links(Target target) => Directory.GetFiles(target.Folder, "link_remap.*", SearchOption.AllDirectories);

    private static DumpOptions Options(Target target, FinalState state) =>
        new() { Pid = target.Pid, ImagesDirectory = target.Images, FinalState = state, Force = true, LinkRemap = true };

    private static void Dump(Target target, FinalState state) => new DumpOperation(Options(target, state)).Run();

    private static void Restore(Target target) => new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
}
