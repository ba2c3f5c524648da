using System.Diagnostics;
using CriuPS.Tests.Rpc;
using Xunit;

namespace CriuPS.Tests.Criu;

/// <summary>Runs criu as scripts do.</summary>
internal static class CriuProgram
{
    /// <summary>Runs it to its end.</summary>
    public static (int Code, string Output, string Error) Run(params string[] arguments) => Run([], arguments);

    /// <summary>Runs it to its end with more environment variables.</summary>
    public static (int Code, string Output, string Error) Run(IEnumerable<(string Name, string Value)> variables, params string[] arguments)
    {
        using Process process = Start(variables, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)), $"criu {string.Join(' ', arguments)} does not end");
        return (process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Starts it.</summary>
    public static Process Start(IEnumerable<(string Name, string Value)> variables, params string[] arguments)
    {
        ProcessStartInfo start = new(RpcServer.Program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }
}
