using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Kernel;

public sealed class ProcessVmTests
{
    [Fact]
    public void Pieces_of_any_size_are_written_and_read()
    {
        byte[] there = new byte[3_500_000], content = new byte[there.Length], back = new byte[there.Length];
        new Random(1).NextBytes(content);
        GCHandle hold = GCHandle.Alloc(there, GCHandleType.Pinned);
        try
        {
            ulong address = (ulong)hold.AddrOfPinnedObject();
            int[] ends = [10, 1_000_000, 3_400_000, there.Length];
            ProcessVm.Write(Environment.ProcessId, [.. Pieces(content)]);
            ProcessVm.Read(Environment.ProcessId, [.. Pieces(back)]);
            IEnumerable<MemoryPiece> Pieces(byte[] bytes) =>
                ends.Select((end, i) => (Start: i == 0 ? 0 : ends[i - 1], end)).Select(p => new MemoryPiece(address + (ulong)p.Start, bytes.AsMemory(p.Start..p.end)));
        }
        finally
        {
            hold.Free();
        }

        Assert.Equal(content, there);
        Assert.Equal(content, back);
    }
}
