using System.Diagnostics;
using System.Reflection;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Kernel;

/// <summary>The engine has no C in it: here the C compiler and the system's headers judge what its C# says about the kernel.</summary>
public sealed class LayoutTests
{
    private static readonly string[] s_rooms = ["CriuPS.Engine.Kernel", "CriuPS.Engine.Compel", "CriuPS.Engine.Check"];

    [Fact]
    public void Every_constant_and_structure_is_that_of_the_headers()
    {
        LayoutSource source = Everything();
        Assert.Contains("__NR_clone3", source.Constants);
        Assert.Contains("EPERM", source.Constants);
        AssertAgrees(source);
    }

    [Fact]
    public void A_wrong_constant_is_named_in_the_message()
    {
        var source = new LayoutSource(KernelNames.Headers, KernelNames.Prelude);
        source.AddConstant("EPERM", "Wrong", 2);
        Assert.Contains("Wrong.EPERM is 2 in C#", Compile(source));
    }

    [Theory]
    [InlineData(typeof(WrongSize), "WrongSize: size 12 in C#")]
    [InlineData(typeof(WrongOrder), "WrongOrder.revents: offset 4 in C#")]
    [InlineData(typeof(WrongWidth), "WrongWidth.events: size 4 in C#")]
    public void A_wrong_structure_is_named_in_the_message(Type type, string message)
    {
        var source = new LayoutSource(KernelNames.Headers, KernelNames.Prelude);
        source.AddStructure(type, "struct pollfd", name => name);
        Assert.Contains(message, Compile(source));
    }

    [Fact]
    public void A_right_structure_passes()
    {
        var source = new LayoutSource(KernelNames.Headers, KernelNames.Prelude);
        source.AddStructure(typeof(Right), "struct pollfd", name => name);
        AssertAgrees(source);
    }

    private static void AssertAgrees(LayoutSource source)
    {
        string complaints = Compile(source);
        Assert.True(complaints.Length == 0, complaints);
    }

    private static LayoutSource Everything()
    {
        var source = new LayoutSource(KernelNames.Headers, KernelNames.Prelude);
        foreach (Type type in typeof(Errno).Assembly.GetTypes().Where(InARoom).OrderBy(t => t.FullName, StringComparer.Ordinal))
        {
            source.AddConstants(type);
            if (LayoutSource.MirrorsC(type))
            {
                (string structure, Func<string, string> rename) =
                    KernelNames.Renamed.TryGetValue(type.Name, out var known) ? known : ("struct " + type.Name, name => name);
                source.AddStructure(type, structure, rename);
            }
        }

        return source;
    }

    private static bool InARoom(Type type) => s_rooms.Any(room => type.Namespace == room || type.Namespace?.StartsWith(room + ".") == true);

    // Returns what the compiler complains about: nothing when all is well.
    private static string Compile(LayoutSource source)
    {
        var start = new ProcessStartInfo("gcc", ["-std=gnu11", "-fsyntax-only", "-w", "-x", "c", "-"])
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
        };
        using Process gcc = Process.Start(start)!;
        Task<string> errors = gcc.StandardError.ReadToEndAsync();
        gcc.StandardInput.Write(source.ToString());
        gcc.StandardInput.Close();
        gcc.WaitForExit();
        Assert.Equal(gcc.ExitCode == 0, errors.Result.Length == 0);
        return errors.Result;
    }

#pragma warning disable CS0649 // Only their layout matters.
    private struct Right
    {
        public int fd;
        public short events;
        public short revents;
    }

    private struct WrongSize
    {
        public int fd;
        public short events;
        public short revents;
        public int more;
    }

    private struct WrongOrder
    {
        public int fd;
        public short revents;
        public short events;
    }

    private struct WrongWidth
    {
        public int fd;
        public int events;
    }
#pragma warning restore CS0649
}
