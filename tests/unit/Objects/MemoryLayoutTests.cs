using CriuPS.Engine.Objects.Memory;
using Xunit;

namespace CriuPS.Tests.Objects;

public sealed class MemoryLayoutTests
{
    [Fact]
    public void A_saved_auxiliary_vector_ends_before_its_end_mark() =>
        Assert.Equal([6, 4096, 8, 0], MemoryLayout.WithoutEnd([6, 4096, 8, 0, 0, 0, 0, 0]));

    [Fact]
    public void A_vector_without_an_end_mark_is_kept_whole() => Assert.Equal([6, 4096, 8, 0], MemoryLayout.WithoutEnd([6, 4096, 8, 0]));
}
