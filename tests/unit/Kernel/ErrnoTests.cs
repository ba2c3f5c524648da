using System.Reflection;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Kernel;

public sealed class ErrnoTests
{
    public static TheoryData<string, int> Constants()
    {
        var data = new TheoryData<string, int>();
        foreach (FieldInfo field in typeof(Errno).GetFields(BindingFlags.Static | BindingFlags.Public).Where(f => f.IsLiteral))
        {
            data.Add(field.Name, (int)field.GetRawConstantValue()!);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Constants))]
    public void Every_constant_has_its_own_name(string name, int value) => Assert.Equal(name, Errno.Name(value));

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(4095)]
    public void A_number_without_a_name_is_shown_as_it_is(int value) => Assert.Equal($"errno {value}", Errno.Name(value));

    [Fact]
    public void A_description_has_the_name_and_the_words_of_the_system()
    {
        Assert.Equal("EPERM (Operation not permitted)", Errno.Describe(Errno.EPERM));
        Assert.Equal("ESRCH (No such process)", Errno.Describe(Errno.ESRCH));
    }

    [Theory]
    [InlineData(Errno.EPERM, CriuErrorKind.PermissionDenied)]
    [InlineData(Errno.EACCES, CriuErrorKind.PermissionDenied)]
    [InlineData(Errno.ESRCH, CriuErrorKind.NotFound)]
    [InlineData(Errno.ENOENT, CriuErrorKind.NotFound)]
    [InlineData(Errno.EEXIST, CriuErrorKind.AlreadyExists)]
    [InlineData(Errno.EBUSY, CriuErrorKind.Busy)]
    [InlineData(Errno.ETIMEDOUT, CriuErrorKind.Timeout)]
    [InlineData(Errno.EINVAL, CriuErrorKind.KernelFailure)]
    public void A_failed_call_tells_call_number_name_and_kind(int errno, CriuErrorKind kind)
    {
        var failure = new KernelException("prctl(PR_SET_MM)", errno);
        Assert.Equal(kind, failure.Kind);
        Assert.Equal(errno, failure.Errno);
        Assert.Equal("KernelFailure", failure.Id);
        Assert.Equal("prctl(PR_SET_MM)", failure.Call);
        Assert.StartsWith($"prctl(PR_SET_MM) failed: {Errno.Name(errno)} (", failure.Message);
    }
}
