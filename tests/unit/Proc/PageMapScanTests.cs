using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class PageMapScanTests
{
    /// <summary>The kernel collects 512 regions at a time, we take 1024: numbers on both sides of each.</summary>
    [Theory]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(700)]
    [InlineData(1024)]
    [InlineData(1025)]
    [InlineData(3000)]
    public unsafe void EachPageIsFoundOnceHoweverManyThereAre(int pages)
    {
        ulong length = 2UL * (ulong)pages * Memory.PageSize;
        ulong start = Memory.MapAnonymous(length, Memory.PROT_READ | Memory.PROT_WRITE);
        try
        {
            List<PageRegion> expected = [];
            for (ulong page = start; page < start + length; page += 2 * Memory.PageSize)
            {
                *(byte*)page = 1;
                expected.Add(new PageRegion(page, page + Memory.PageSize, PageCategories.None));
            }

            using ProcDirectory self = new(Environment.ProcessId);
            using PageMap pageMap = PageMap.Open(self);
            List<PageRegion> found = [];
            pageMap.Scan(start, start + length, new PageQuery(PageCategories.None, PageCategories.Present), found);
            Assert.Equal(expected, found);
        }
        finally
        {
            Memory.Unmap(start, length);
        }
    }
}
