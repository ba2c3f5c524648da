using System.Collections.ObjectModel;
using System.Management.Automation;
using System.Management.Automation.Host;
using System.Security;

namespace CriuPS.Shell;

/// <summary>The questions that commands ask: -Confirm, missing mandatory parameters, Read-Host.</summary>
public sealed partial class EmbeddedUI
{
    /// <inheritdoc/>
    public override string ReadLine() => Console.In.ReadLine() ?? throw NoAnswer();

    /// <inheritdoc/>
    public override SecureString ReadLineAsSecureString()
    {
        var secret = new SecureString();
        if (Console.IsInputRedirected)
        {
            foreach (var c in ReadLine())
            {
                secret.AppendChar(c);
            }

            return secret;
        }

        for (var key = Console.ReadKey(intercept: true); key.Key != ConsoleKey.Enter; key = Console.ReadKey(intercept: true))
        {
            if (key.Key == ConsoleKey.Backspace && secret.Length > 0)
            {
                secret.RemoveAt(secret.Length - 1);
            }
            else if (key.KeyChar >= ' ')
            {
                secret.AppendChar(key.KeyChar);
            }
        }

        WriteLine("");
        return secret;
    }

    /// <inheritdoc/>
    public override Dictionary<string, PSObject> Prompt(string caption, string message, Collection<FieldDescription> descriptions)
    {
        WriteHeading(caption, message);
        var answers = new Dictionary<string, PSObject>();
        foreach (var field in descriptions)
        {
            Write($"{field.Name}: ");
            var type = Type.GetType(field.ParameterAssemblyFullName) ?? typeof(string);
            answers[field.Name] = PSObject.AsPSObject(LanguagePrimitives.ConvertTo(ReadLine(), type));
        }

        return answers;
    }

    /// <inheritdoc/>
    public override int PromptForChoice(string caption, string message, Collection<ChoiceDescription> choices, int defaultChoice)
    {
        WriteHeading(caption, message);
        var labels = choices.Select(choice => (Key: KeyOf(choice.Label), Text: choice.Label.Replace("&", "", StringComparison.Ordinal))).ToArray();
        var menu = string.Join("  ", labels.Select(label => $"[{label.Key}] {label.Text}"));
        while (true)
        {
            Write($"{menu}  [?] Help{(defaultChoice >= 0 ? $" (default is \"{labels[defaultChoice].Key}\")" : "")}: ");
            var answer = ReadLine().Trim();
            if (answer.Length == 0 && defaultChoice >= 0)
            {
                return defaultChoice;
            }

            var chosen = Array.FindIndex(labels, label => Same(label.Key, answer) || Same(label.Text, answer));
            if (chosen >= 0)
            {
                return chosen;
            }

            foreach (var (choice, label) in choices.Zip(labels))
            {
                WriteLine($"{label.Key} - {choice.HelpMessage}");
            }
        }
    }

    /// <inheritdoc/>
    public override PSCredential PromptForCredential(string caption, string message, string userName, string targetName) =>
        PromptForCredential(caption, message, userName, targetName, PSCredentialTypes.Default, PSCredentialUIOptions.Default);

    /// <inheritdoc/>
    public override PSCredential PromptForCredential(
        string caption,
        string message,
        string userName,
        string targetName,
        PSCredentialTypes allowedCredentialTypes,
        PSCredentialUIOptions options)
    {
        WriteHeading(caption, message);
        if (string.IsNullOrEmpty(userName))
        {
            Write("User: ");
            userName = ReadLine();
        }

        Write($"Password for user {userName}: ");
        return new PSCredential(userName, ReadLineAsSecureString());
    }

    private static bool Same(string a, string b) => a.Equals(b, StringComparison.OrdinalIgnoreCase);

    // "Yes to &All" is answered with A.
    private static string KeyOf(string label)
    {
        var mark = label.IndexOf('&', StringComparison.Ordinal);
        return mark >= 0 && mark + 1 < label.Length ? label.Substring(mark + 1, 1).ToUpperInvariant() : label;
    }

    private static HostException NoAnswer() => new("there is nobody to answer: standard input has ended");

    private void WriteHeading(string caption, string message)
    {
        foreach (var line in new[] { caption, message }.Where(line => !string.IsNullOrEmpty(line)))
        {
            WriteLine(line);
        }
    }
}
