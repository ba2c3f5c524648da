using System.Diagnostics;

namespace CriuPS.Tests.Rpc;

/// <summary>A Python program that asks the service for its own dump, and writes down what it is told when it lives again.</summary>
internal sealed class SelfDumper : IDisposable
{
    // criu_req { type = DUMP, opts { images_dir_fd, log_level = 4 } }, written out: field numbers and lengths are one byte each.
    private const string Program = """
        import os, socket, sys
        address, images, verdict = sys.argv[1:]
        os.closerange(3, 1 << 16)
        os.setsid()
        directory = os.open(images, os.O_DIRECTORY)
        service = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        service.connect(address)
        options = bytes([0x08, directory, 0x48, 4])
        service.send(bytes([0x08, 1, 0x12, len(options)]) + options)
        answer = service.recv(4096)
        text = 'restored = true' if bytes([0x1a, 2, 0x08, 1]) in answer else 'answer ' + repr(answer)
        if service.recv(4096) == b'': text += ', then the end'
        with open(verdict, 'w') as file: file.write(text + '\n')
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("criups-self-").FullName;
    private readonly Process _process;

    private SelfDumper(RpcServer server)
    {
        Directory.CreateDirectory(Images);
        File.WriteAllText(Path.Join(_folder, "self.py"), Program);
        string script = $"exec python3 {_folder}/self.py {server.Address} {Images} {Verdict} </dev/null >{_folder}/log 2>&1";
        _process = Process.Start("bash", ["-c", script]);
    }

    public string Images => Path.Join(_folder, "images");

    /// <summary>What it wrote; nothing yet is "".</summary>
    public string Said => File.Exists(Verdict) ? File.ReadAllText(Verdict) : "";

    /// <summary>What it printed, for errors.</summary>
    public string Log => File.ReadAllText(Path.Join(_folder, "log"));

    private string Verdict => Path.Join(_folder, "verdict");

    public static SelfDumper Start(RpcServer server) => new(server);

    public bool HasEnded() => _process.HasExited;

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
