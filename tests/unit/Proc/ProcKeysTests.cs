using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcKeysTests
{
    [Fact]
    public void Keys_that_count_are_counted()
    {
        Assert.Equal((3UL, 0UL), ProcKeys.CountUsers("    0:     9 8/8 3/1000000 48/25000000\n"u8, default));
        Assert.Equal((4UL, 7UL), ProcKeys.CountUsers("    0: 9 8/8 4/1000000 48/25000000\n 1000: 2 2/2 2/200 30/20000\n65534: 5 5/5 5/200 9/20000\n"u8, default));
        Assert.Equal((0UL, 0UL), ProcKeys.CountUsers(""u8, default));
    }

    [Fact]
    public void Only_session_keyrings_are_not_known()
    {
        ReadOnlySpan<byte> keys = """
            028dc57d I------     1 perm 1f030000     0     0 keyring   .dns_resolver: empty
            1e9b14a4 I--Q---     2 perm 1f3f0000     0 65534 keyring   _uid.0: empty
            286f53d8 I--Q---     1 perm 1f3f0000     0 65534 keyring   _uid_ses.0: 1
            2c358de8 I--Q---     1 perm 0c030000     0 65534 keyring   .user_reg: 4
            0416aa0d I--Q---     1 perm 3f030000     0     0 keyring   _ses: 1
            0416aa0e I--Q---     1 perm 3f130000     0     0 keyring   a name with blanks: empty
            0416aa0f I--Q---     1   3d 3f010000     0     0 user      _ses: 16
            0416aa10 I--Q--i     1 expd 3f010000     0     0 logon     x: 16

            """u8;
        Assert.Equal(5UL, ProcKeys.CountKnown(keys, default));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("0: 9 8/8")]
    [InlineData("x: 9 8/8 3/1000000 48/25000000")]
    public void Another_text_is_an_error(string text) =>
        Assert.Equal("MalformedProc", Assert.Throws<CriuException>(() => ProcKeys.CountUsers(System.Text.Encoding.ASCII.GetBytes(text), default)).Id);
}
