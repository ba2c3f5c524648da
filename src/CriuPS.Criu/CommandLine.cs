using CriuPS.Criu.Commands;
using CriuPS.Criu.Line;
using CriuPS.Criu.Running;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu;

/// <summary>From words to a command: the options of files and of the command line, help and version, the command.</summary>
internal static class CommandLine
{
    /// <summary>The version of CRIU whose commands, options and images we speak.</summary>
    public const string SpokenVersion = "4.2";

    private const int Failed = 1;

    /// <summary>Our own version.</summary>
    public static string OwnVersion => typeof(CommandLine).Assembly.GetName().Version!.ToString(3);

    /// <summary>Runs a command line; the result is the exit code.</summary>
    public static int Run(IReadOnlyList<string> words)
    {
        try
        {
            return words.Count == 0 ? Usage() : Answer(words);
        }
        catch (CriuException e)
        {
            StandardStreams.Complain($"Error: {Spelling.Describe(e)}");
            return Failed;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            StandardStreams.Complain($"Error: {e.Message}");
            return Failed;
        }
    }

    private static int Answer(IReadOnlyList<string> words)
    {
        // Help comes first: a broken configuration file must not hide it.
        string[] beforeOperands = [.. words.TakeWhile(word => word != "--")];
        if (beforeOperands.Any(word => word is "-h" or "--help"))
        {
            return Help();
        }

        (IReadOnlyList<NamedOption> options, IReadOnlyList<string> operands) = GetOpt.Split(words);
        if (options.Any(o => o.Name == FaceOptions.Help))
        {
            return Help();
        }

        if (options.Any(o => o.Name == FaceOptions.Version))
        {
            Console.Out.WriteLine($"Version: {SpokenVersion}\nCriuPS: {OwnVersion}");
            return 0;
        }

        string? config = options.LastOrDefault(o => o.Name == FaceOptions.Config).Value;
        bool defaults = options.All(o => o.Name != FaceOptions.NoDefaultConfig);
        NamedOption[] all = [.. ConfigSources.Read(config, defaults), .. options];
        return operands.Count == 0 ? Usage("a command is needed") : Dispatch(all, operands);
    }

    private static int Dispatch(NamedOption[] named, IReadOnlyList<string> operands)
    {
        if (named.Any(o => o.Name == FaceOptions.Ms))
        {
            return Usage("option --ms is gone; use 'criu check' with --extra, --experimental or --feature");
        }

        string command = operands[0];
        int words = 1;
        if (command == "cpuinfo")
        {
            if (operands is not [_, "dump" or "check", ..])
            {
                return Usage("cpuinfo is followed by dump or check");
            }

            command = $"cpuinfo {operands[1]}";
            words = 2;
        }

        if (command == WorkerCommand.Name)
        {
            return WorkerCommand.Run([.. operands.Skip(1)]) ?? Usage("swrk is followed by the number of a descriptor");
        }

        NamedOption[] forEngine = [.. named.Where(o => !FaceOptions.IsOwn(o))];
        return Start(command, forEngine, [.. operands.Skip(words)]);
    }

    private static int Start(string command, NamedOption[] named, string[] rest)
    {
        bool takesCommand = named.Any(o => o.Name == "exec-cmd");
        if (takesCommand && rest.Length == 0)
        {
            return Usage("option --exec-cmd is followed by '--' and a command");
        }

        if (!takesCommand && rest.Length > 0 && command != ServiceCommand.Name)
        {
            return Usage($"'{string.Join(' ', rest)}' follows the command {command}, which takes no more words");
        }

        switch (command)
        {
            case "dump":
                return Session.Run(OptionTable.Apply(new DumpOptions { Pid = 0, Force = true, PipesMayEndOutside = true }, named), DumpCommand.Run);
            case "restore":
                RestoreOptions restore = OptionTable.Apply(new RestoreOptions { Detached = false, PipesMayEndOutside = true }, named);
                return Session.Run(restore, (options, log) => RestoreCommand.Run(options, log, rest));
            case "check":
                return Session.Run(OptionTable.Apply(new CriuOptions(), named), CheckCommand.Run);
            case "dedup":
                return Session.Run(OptionTable.Apply(new CriuOptions(), named), DedupCommand.Run);
            case "cpuinfo dump":
                return Session.Run(OptionTable.Apply(new CriuOptions(), named), ProcessorCommand.Dump);
            case "cpuinfo check":
                return Session.Run(OptionTable.Apply(new CriuOptions(), named), ProcessorCommand.Check);
            case ServiceCommand.Name:
                return Session.Run(OptionTable.Apply(new CriuOptions(), named), (options, log) => ServiceCommand.Run(options, log, rest));
            case "exec":
                return Usage("the command exec is gone; it was another program's: compel");
            case "show":
                return Usage("the command show is gone; 'crit show FILE' shows an image");
            default:
                return NotYet.Commands.TryGetValue(command, out string? why)
                    ? throw NotSupported(command, why)
                    : Usage($"there is no command {command}");
        }
    }

    private static CriuException NotSupported(string command, string why) =>
        new("CommandNotSupported", CriuErrorKind.NotSupported, $"the command {command} is not supported: {why}") { Subject = command };

    private static int Help()
    {
        foreach (string line in HelpText.Lines())
        {
            Console.Out.WriteLine(line);
        }

        return 0;
    }

    private static int Usage(string? mistake = null)
    {
        if (mistake is not null)
        {
            StandardStreams.Complain($"Error: {mistake}");
        }

        StandardStreams.Complain($"{HelpText.Usage}\ncriu --help shows all options.");
        return Failed;
    }
}
