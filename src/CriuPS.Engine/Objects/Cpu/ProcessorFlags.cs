namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// The words of flags in an image, in the kernel's order (arch/x86/include/asm/cpufeatures.h), each from a leaf of CPUID; and the flags that stand for
/// instructions of user programs, by the names that /proc/cpuinfo shows (Intel's manual volume 2, CPUID; AMD's manual volume 3, appendix E).
/// </summary>
internal static class ProcessorFlags
{
    /// <summary>How many words there are.</summary>
    public const int Words = 19;

    /// <summary>Words that hold a leaf of CPUID.</summary>
    public const int Leaf1Edx = 0, Extended1Edx = 1, Linux1 = 3, Leaf1Ecx = 4, Extended1Ecx = 6, Leaf7Ebx = 9, LeafDEax = 10, Leaf7Ecx = 11, LeafF1Edx = 12,
        Extended8Ebx = 13, Leaf6Eax = 14, ExtendedAEdx = 15, LeafFEdx = 16, Extended7Ebx = 17, Leaf7Edx = 18;

    /// <summary>Flags about the state that tasks have in registers.</summary>
    public static IReadOnlyList<(int Word, int Bit, string Name)> State { get; } =
        [(Leaf1Edx, 0, "fpu"), (Leaf1Edx, 24, "fxsr"), (Leaf1Ecx, 27, "osxsave"), (LeafDEax, 3, "xsaves")];

    /// <summary>Flags about instructions.</summary>
    public static IReadOnlyList<(int Word, int Bit, string Name)> Instructions { get; } =
    [
        .. Of(Leaf1Edx, "fpu 0 tsc 4 cx8 8 sep 11 cmov 15 clflush 19 mmx 23 fxsr 24 sse 25 sse2 26"),
        .. Of(Extended1Edx, "syscall 11 mmxext 22 rdtscp 27 3dnowext 30 3dnow 31"),
        .. Of(Linux1, "rep_good 16 nopl 20"),
        .. Of(Leaf1Ecx, "pni 0 pclmulqdq 1 monitor 3 ssse3 9 fma 12 cx16 13 sse4_1 19 sse4_2 20 movbe 22 popcnt 23 aes 25 xsave 26 osxsave 27 avx 28 f16c 29 rdrand 30"),
        .. Of(Extended1Ecx, "abm 5 sse4a 6 misalignsse 7 3dnowprefetch 8 xop 11 fma4 16 tbm 21"),
        .. Of(Leaf7Ebx, "fsgsbase 0 bmi1 3 hle 4 avx2 5 bmi2 8 erms 9 rtm 11 mpx 14 avx512f 16 avx512dq 17 rdseed 18 adx 19 avx512ifma 21 clflushopt 23 clwb 24"),
        .. Of(Leaf7Ebx, "avx512pf 26 avx512er 27 avx512cd 28 sha_ni 29 avx512bw 30 avx512vl 31"),
        .. Of(LeafDEax, "xsaveopt 0 xsavec 1 xgetbv1 2"),
        .. Of(Leaf7Ecx, "avx512vbmi 1 avx512_vbmi2 6 gfni 8 vaes 9 vpclmulqdq 10 avx512_vnni 11 avx512_bitalg 12 tme 13 avx512_vpopcntdq 14 rdpid 22"),
        .. Of(Leaf7Ecx, "movdiri 27 movdir64b 28"),
        .. Of(Extended8Ebx, "clzero 0"),
        .. Of(Leaf7Edx, "avx512_4vnniw 2 avx512_4fmaps 3 avx512_vp2intersect 8 serialize 14 avx512_fp16 23"),
    ];

    /// <summary>The names of the flags that words have, each once.</summary>
    public static string[] Named(IReadOnlyList<uint> words) =>
        [.. Instructions.Concat(State).Where(f => f.Word < words.Count && (words[f.Word] & (1u << f.Bit)) != 0).Select(f => f.Name).Distinct()];

    /// <summary>The name of a flag, or its place where nobody here has a name for it.</summary>
    public static string NameOf(int word, int bit)
    {
        foreach ((int Word, int Bit, string Name) flag in Instructions.Concat(State))
        {
            if (flag.Word == word && flag.Bit == bit)
            {
                return flag.Name;
            }
        }

        return $"word {word} bit {bit}";
    }

    private static IEnumerable<(int Word, int Bit, string Name)> Of(int word, string flags) =>
        flags.Split(' ').Chunk(2).Select(pair => (word, int.Parse(pair[1], System.Globalization.CultureInfo.InvariantCulture), pair[0]));
}
