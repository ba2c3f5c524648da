using static CriuPS.Engine.Options.OptionValues;

namespace CriuPS.Engine.Options;

/// <content>What CRIU does not have.</content>
public static partial class OptionTable
{
    private static OptionDefinition[] Own() =>
    [
        Value("unsupported-files", "POLICY", "what is done with open files that cannot be saved: fail (default), close, or null for /dev/null",
            (o, v) => o with
            {
                UnsupportedFiles = Choice(
                    "unsupported-files", v, ("fail", UnsupportedFiles.Fail), ("close", UnsupportedFiles.Close), ("null", UnsupportedFiles.Null)),
            }),
        Value("include-content", "PATTERN", "put the content of files with such paths into the image set",
            (o, v) => o with { IncludedContent = [.. o.IncludedContent, v] }),
        Value("file-policy", "PATTERN=POLICY", "what is done with files that have changed: strict (default), growth, ignore, or saved for the copy in the set",
            (o, v) => o with { FilePolicies = [.. o.FilePolicies, Policy("file-policy", v)] }),
        Value("path-map", "OLD=NEW", "files under OLD are now under NEW",
            (o, v) => Pair("path-map", v, '=') is var (from, to) ? o with { MovedPaths = [.. o.MovedPaths, new MovedPath(from, to)] } : o),
    ];

    private static FilePolicy Policy(string option, string value)
    {
        (string pattern, string policy) = Pair(option, value, '=');
        return new FilePolicy(pattern, Choice(
            option, policy, ("strict", ChangedFile.Strict), ("growth", ChangedFile.Growth), ("ignore", ChangedFile.Ignore), ("saved", ChangedFile.Saved)));
    }
}
