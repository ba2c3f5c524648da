using System.Collections;
using System.Text;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>execve(2): this process becomes another program.</summary>
internal static unsafe class Execute
{
    /// <summary>Becomes a program, which is looked for as a shell does; returns only what was wrong.</summary>
    /// <param name="words">The program and its arguments.</param>
    /// <param name="replaced">
    /// Descriptors that take the places of others, as the last thing before the call: those may be the runtime's, which then cannot go on.
    /// </param>
    public static KernelException Become(IReadOnlyList<string> words, params ReadOnlySpan<(int From, int To)> replaced)
    {
        // The runtime ignores SIGPIPE, which an exec would keep.
        Signals.SetAction(Signals.SIGPIPE, default);
        string path = Find(words[0]);
        List<string> environment = [];
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            environment.Add($"{variable.Key}={variable.Value}");
        }

        long[] arguments = Vector(words, out byte[] argumentTexts), variables = Vector(environment, out byte[] variableTexts);
        fixed (byte* program = CString.From(path))
        fixed (long* first = arguments, firstVariable = variables)
        {
            foreach ((int from, int to) in replaced)
            {
                Syscall.Invoke(SyscallNumber.dup3, from, to, 0);
            }

            long result = Syscall.Invoke(SyscallNumber.execve, (long)program, (long)first, (long)firstVariable);
            GC.KeepAlive(argumentTexts);
            GC.KeepAlive(variableTexts);
            return new KernelException($"execve({path})", (int)-result) { Subject = path };
        }
    }

    private static string Find(string name)
    {
        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(':');
        return name.Contains('/') ? name : folders.Select(folder => Path.Join(folder, name)).FirstOrDefault(File.Exists) ?? name;
    }

    // Addresses of texts, zero behind the last. The texts do not move, and stay until the process is another.
    private static long[] Vector(IReadOnlyList<string> texts, out byte[] bytes)
    {
        bytes = GC.AllocateArray<byte>(texts.Sum(text => Encoding.UTF8.GetByteCount(text) + 1), pinned: true);
        long[] addresses = new long[texts.Count + 1];
        fixed (byte* start = bytes)
        {
            int offset = 0;
            for (int i = 0; i < texts.Count; i++)
            {
                addresses[i] = (long)(start + offset);
                offset += Encoding.UTF8.GetBytes(texts[i], bytes.AsSpan(offset)) + 1;
            }
        }

        return addresses;
    }
}
