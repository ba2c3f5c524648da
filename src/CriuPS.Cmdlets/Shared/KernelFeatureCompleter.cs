using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using CriuPS.Engine.Check;

namespace CriuPS.Commands;

/// <summary>Completes the names of features of the kernel and of privileges.</summary>
public sealed class KernelFeatureCompleter : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName,
        string parameterName,
        string wordToComplete,
        CommandAst commandAst,
        IDictionary fakeBoundParameters)
    {
        WildcardPattern pattern = WildcardPattern.Get(wordToComplete + "*", WildcardOptions.IgnoreCase);
        return KernelCheck.Names.Where(pattern.IsMatch).Order(StringComparer.Ordinal).Select(name => new CompletionResult(name));
    }
}
