using CriuPS.Engine.Check;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Check;

/// <summary>A refusal of the kernel is explained by what is required and missing, and only by that.</summary>
public sealed class RequirementsTests
{
    [Fact]
    public void A_refusal_of_the_kernel_names_what_is_missing_and_what_helps()
    {
        KernelException refusal = new("ptrace(PTRACE_NEW)", Errno.EPERM) { Pid = 7 };
        CriuException explained = Assert.Throws<CriuException>(
            () => Requirements.Explain<int>(() => throw refusal, () => [One("new", required: true, "use Linux 99")]));
        Assert.Equal("RequirementMissing", explained.Id);
        Assert.Equal(CriuErrorKind.PermissionDenied, explained.Kind);
        Assert.Equal(7, explained.Pid);
        Assert.StartsWith(refusal.Message, explained.Message);
        Assert.EndsWith("new", explained.Message);
        Assert.Equal("new: use Linux 99", explained.Remedy);
        Assert.Same(refusal, explained.InnerException);
    }

    [Fact]
    public void A_refusal_with_nothing_required_missing_stays_as_it_is()
    {
        RemoteCallException refusal = new(7, "mmap", Errno.ENOMEM);
        IReadOnlyList<KernelFeature> missing = [One("rare", required: false, "use Linux 99"), One("there", required: true, remedy: null)];
        Assert.Same(refusal, Assert.Throws<RemoteCallException>(() => Requirements.Explain<int>(() => throw refusal, () => missing)));
    }

    [Fact]
    public void Other_failures_and_successes_are_not_looked_into()
    {
        Func<IReadOnlyList<KernelFeature>> never = () => throw new InvalidOperationException("looked");
        Assert.Equal(3, Requirements.Explain(() => 3, never));
        CriuException failure = new("PidInUse", CriuErrorKind.AlreadyExists, "pid 7 is in use");
        Assert.Same(failure, Assert.Throws<CriuException>(() => Requirements.Explain<int>(() => throw failure, never)));
    }

    private static KernelFeature One(string name, bool required, string? remedy) => new()
    {
        Name = name, Supported = remedy is null, Required = required, Category = FeatureCategory.Engine, KnownToCriu = false,
        NeededFor = "tests", Detail = "tried", Remedy = remedy,
    };
}
