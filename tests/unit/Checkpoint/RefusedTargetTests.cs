using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Targets with something that cannot be kept: the refusal names it, and they go on unharmed.</summary>
public sealed class RefusedTargetTests
{
    [Fact]
    public void A_key_that_nobody_can_read_is_refused_by_name()
    {
        using Target target = Target.Start("keyrings", "SECRET=1");

        // Several processes have the keyring, and are asked side by side.
        Assert.Equal("logon key 'criups:secret'", Refused(target).Subject);
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void Descriptors_shared_with_a_parent_that_cannot_bear_the_process_are_refused()
    {
        using Target target = Target.Start("shared_orphan");
        Refusal refusal = Refused(target);
        Assert.NotEqual(target.Pid, refusal.Pid);
        Assert.Equal("descriptors (CLONE_FILES)", refusal.Subject);
        Assert.Equal("ok", target.Finish());
    }

    private static Refusal Refused(Target target)
    {
        DumpOptions options = new() { Pid = target.Pid, ImagesDirectory = target.Images };
        return Assert.Single(Assert.Throws<RefusedException>(() => new DumpOperation(options).Run()).Refusals);
    }
}
