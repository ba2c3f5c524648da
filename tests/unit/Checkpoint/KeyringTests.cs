using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

public sealed class KeyringTests
{
    [Fact]
    public void A_key_that_nobody_can_read_is_refused_by_name()
    {
        using Target target = Target.Start("keyrings", "SECRET=1");
        DumpOptions options = new() { Pid = target.Pid, ImagesDirectory = target.Images };
        Refusal refusal = Assert.Single(Assert.Throws<RefusedException>(() => new DumpOperation(options).Run()).Refusals);
        Assert.Equal((target.Pid, "logon key 'criups:secret'"), (refusal.Pid, refusal.Subject));
        Assert.Equal("ok", target.Finish());
    }
}
