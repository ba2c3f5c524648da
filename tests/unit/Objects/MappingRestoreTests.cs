using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Memory;
using Xunit;

namespace CriuPS.Tests.Objects;

public sealed class MappingRestoreTests
{
    private const uint Read = 1, Write = 2, Shared = 1, Private = 2;

    [Fact]
    public void A_mapping_says_itself_how_its_file_is_opened() =>
        Assert.Equal(Fcntl.O_RDWR, MappingRestore.OpenFlags(new VmaEntry { Prot = Read, Flags = Shared, Fdflags = Fcntl.O_RDWR }));

    [Theory]
    [InlineData(Read | Write, Shared, Fcntl.O_RDWR)]
    [InlineData(Read, Shared, Fcntl.O_RDONLY)]
    [InlineData(Read | Write, Private, Fcntl.O_RDONLY)]
    public void Without_flags_only_a_shared_writable_mapping_opens_for_writing(uint protection, uint flags, int expected) =>
        Assert.Equal(expected, MappingRestore.OpenFlags(new VmaEntry { Prot = protection, Flags = flags }));
}
