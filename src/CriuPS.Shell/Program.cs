using CriuPS.Shell;

// Before the first type of System.Management.Automation is touched: its start-up reads this.
Environment.SetEnvironmentVariable("POWERSHELL_TELEMETRY_OPTOUT", "1");
try
{
    var arguments = ShellArguments.Parse(args);
    using var session = new Session(arguments.ModulePath);
    return arguments.Mode switch
    {
        ShellMode.Command => session.RunText(arguments.Text!),
        ShellMode.File => session.RunFile(arguments.Text!, arguments.ScriptArguments),
        _ => new Prompt(session).Run(),
    };
}
catch (ShellUsageException e)
{
    Console.Error.WriteLine($"criups: {e.Message}");
    Console.Error.WriteLine(ShellArguments.Usage);
    return 64;
}
