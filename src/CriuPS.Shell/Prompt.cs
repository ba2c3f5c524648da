using System.Text;

namespace CriuPS.Shell;

/// <summary>Reads commands and runs them one by one: with a prompt on a terminal, silently from a pipe.</summary>
/// <param name="session">Where they run.</param>
public sealed class Prompt(Session session)
{
    private readonly bool _interactive = !Console.IsInputRedirected;

    /// <summary>Runs until the input ends or a command says <c>exit</c>.</summary>
    /// <returns>The exit code: that of <c>exit</c>; without one, 0 on a terminal and the last command's from a pipe.</returns>
    public int Run()
    {
        var last = 0;
        while (ReadCommand() is { } command)
        {
            if (string.IsNullOrWhiteSpace(command))
            {
                continue;
            }

            last = session.RunText(command);
            if (session.ExitRequested || session.Terminated)
            {
                return last;
            }
        }

        return _interactive ? 0 : last;
    }

    // One command: more lines as long as the parser says that something is still open.
    private string? ReadCommand()
    {
        var text = new StringBuilder();
        while (true)
        {
            if (_interactive)
            {
                session.UI.Write(text.Length == 0 ? session.PromptText() : ">> ");
            }

            if (Console.In.ReadLine() is not { } line)
            {
                return text.Length > 0 ? text.ToString() : null;
            }

            text.AppendLine(line);
            if (line.Length == 0 || !Session.IsIncomplete(text.ToString()))
            {
                return text.ToString();
            }
        }
    }
}
