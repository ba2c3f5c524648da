using CriuPS.Engine.Check;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Check;

/// <summary>netlink(7): every length counts its own header, and everything is padded to four bytes.</summary>
public sealed class NetlinkMessageTests
{
    [Fact]
    public void A_message_has_its_length_type_flags_and_the_protocols_header()
    {
        byte[] bytes = new NetlinkMessage(0x1234, NetlinkMessage.NLM_F_REQUEST | NetlinkMessage.NLM_F_ACK, [9, 8, 7, 6]).ToArray();
        Assert.Equal([20, 0, 0, 0, 0x34, 0x12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 8, 7, 6], bytes);
    }

    [Fact]
    public void An_attribute_is_padded_but_its_length_is_not()
    {
        byte[] bytes = new NetlinkMessage(1, 0, []).Add(3, "ab").AddBigEndian(4, 1).ToArray();
        Assert.Equal(16 + 8 + 8, bytes[0]);
        Assert.Equal([7, 0, 3, 0, (byte)'a', (byte)'b', 0, 0], bytes[16..24]);
        Assert.Equal([8, 0, 4, 0, 0, 0, 0, 1], bytes[24..]);
    }

    [Fact]
    public void An_attribute_that_holds_others_counts_them()
    {
        byte[] bytes = new NetlinkMessage(1, 0, []).Nest(5, [0xaa], outer => outer.Nest(6, [], inner => inner.Add(7, 2))).ToArray();
        Assert.Equal([20, 0, 5, 0, 0xaa, 0, 0, 0, 12, 0, 6, 0, 8, 0, 7, 0, 2, 0, 0, 0], bytes[16..]);
    }

    [Fact]
    public void An_attribute_is_found_behind_others_and_not_inside_of_a_cut_one()
    {
        byte[] message = new NetlinkMessage(1, 0, [1, 2, 3, 4]).Add(3, "abc").Add(NetlinkMessage.NLA_F_NESTED | 4, 1).ToArray();
        NetlinkReply reply = new(0, [message]);
        Assert.True(reply.Has(4, 3));
        Assert.True(reply.Has(4, 4));
        Assert.False(reply.Has(4, 5));
        Assert.False(new NetlinkReply(0, [message[..^4]]).Has(4, 4));
    }
}
