using CriuPS.Engine.Errors;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Options;
using Xunit;

namespace CriuPS.Tests.Objects;

public sealed class ProcessorComparisonTests
{
    [Theory]
    [InlineData(CpuCapabilities.Default)]
    [InlineData(CpuCapabilities.All)]
    public void A_processor_is_fit_for_what_ran_on_it(CpuCapabilities parts) =>
        ProcessorComparison.Compare(ProcessorDescription.Own(), ProcessorDescription.Own(), parts);

    [Fact]
    public void What_it_knows_is_what_the_kernel_shows()
    {
        string[] shown = File.ReadLines("/proc/cpuinfo").First(line => line.StartsWith("flags")).Split(':')[1].Split(' ');
        CpuinfoX86Entry own = ProcessorDescription.Own();
        foreach ((int word, int bit, string name) in ProcessorFlags.Instructions.Where(f => shown.Contains(f.Name)))
        {
            Assert.True((own.Capability[word] >> bit & 1) != 0, name);
        }

        Assert.Equal(ProcessorFlags.Words, own.Capability.Count);
        Assert.Contains(own.ModelId.TrimEnd(), File.ReadAllText("/proc/cpuinfo"));
    }

    [Theory]
    [InlineData(ProcessorFlags.Leaf7Ebx, 16, CpuCapabilities.Instructions, "avx512f")]
    [InlineData(ProcessorFlags.LeafDEax, 3, CpuCapabilities.Fpu, "xsaves")]
    [InlineData(ProcessorFlags.Leaf7Edx, 30, CpuCapabilities.Cpu, "word 18 bit 30")]
    public void A_flag_that_is_missing_is_named(int word, int bit, CpuCapabilities parts, string name)
    {
        CpuinfoX86Entry here = ProcessorDescription.Own(), there = here.Clone();
        here.Capability[word] &= ~(1u << bit);
        there.Capability[word] |= 1u << bit;
        CriuException e = Assert.Throws<CriuException>(() => ProcessorComparison.Compare(there, here, parts));
        Assert.Contains(name, e.Message);
        if (parts != CpuCapabilities.Cpu)
        {
            ProcessorComparison.Compare(here, there, parts);
        }

        ProcessorComparison.Compare(there, here, CpuCapabilities.All & ~parts & ~CpuCapabilities.Cpu);
    }

    [Fact]
    public void Another_size_of_the_extended_state_is_not_fit()
    {
        CpuinfoX86Entry here = ProcessorDescription.Own(), there = here.Clone();
        there.XsaveSize += 64;
        Assert.Contains($"{there.XsaveSize}", Assert.Throws<CriuException>(() => ProcessorComparison.Compare(there, here, CpuCapabilities.Fpu)).Message);
    }

    [Fact]
    public void An_image_with_another_number_of_words_is_damaged()
    {
        CpuinfoX86Entry here = ProcessorDescription.Own(), there = here.Clone();
        there.Capability.RemoveAt(0);
        Assert.Equal("DamagedImage", Assert.Throws<CriuException>(() => ProcessorComparison.Compare(there, here, CpuCapabilities.All)).Id);
    }
}
