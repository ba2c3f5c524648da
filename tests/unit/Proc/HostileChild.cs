using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

/// <summary>tests/targets/hostile_names.c, compiled and running in a directory of its own.</summary>
public sealed class HostileChild : IDisposable
{
    private readonly DirectoryInfo _place = Directory.CreateTempSubdirectory("criups-proc-");
    private readonly Process _process;
    private readonly Dictionary<string, string> _told = [];

    public HostileChild()
    {
        string program = Path.Combine(_place.FullName, "hostile_names");
        string workplace = _place.CreateSubdirectory("work").FullName;
        Compile(Path.Combine(SourceDirectory(), "../../targets/hostile_names.c"), program);
        _process = Process.Start(new ProcessStartInfo(program, [workplace])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment = { ["HOSTILE"] = "new\nline=\\012" },
        })!;
        for (string? line; (line = _process.StandardOutput.ReadLine()) != "ready";)
        {
            Assert.NotNull(line);
            _told[line.Split(' ')[0]] = line.Split(' ')[1];
        }

        Proc = new ProcDirectory(_process.Id);
    }

    public int Pid => _process.Id;

    public ProcDirectory Proc { get; }

    public string Workplace => Path.Combine(_place.FullName, "work");

    public int Number(string key) => int.Parse(_told[key], CultureInfo.InvariantCulture);

    public ulong Address(string key) => ulong.Parse(_told[key], NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    public FdInfo Descriptor(string key) => FdInfo.Read(Proc, Number("fd-" + key));

    /// <summary>Ends the child and reaps it.</summary>
    public void End()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        End();
        Proc.Dispose();
        _process.Dispose();
        _place.Delete(recursive: true);
    }

    private static void Compile(string source, string program)
    {
        string[] arguments = ["-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "-o", program, source];
        using Process gcc = Process.Start(new ProcessStartInfo("gcc", arguments))!;
        gcc.WaitForExit();
        Assert.Equal(0, gcc.ExitCode);
    }

    private static string SourceDirectory([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
