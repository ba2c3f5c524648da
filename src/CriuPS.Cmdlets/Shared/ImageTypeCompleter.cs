using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using CriuPS.Engine.Images;

namespace CriuPS.Commands;

/// <summary>Completes the names of kinds of images.</summary>
public sealed class ImageTypeCompleter : IArgumentCompleter
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
        return ImageType.All.GroupBy(type => type.Name).Where(kind => pattern.IsMatch(kind.Key)).OrderBy(kind => kind.Key, StringComparer.Ordinal)
            .Select(kind => new CompletionResult(kind.Key, kind.Key, CompletionResultType.ParameterValue,
                string.Join(", ", kind.Select(type => type.ToString()))));
    }
}
