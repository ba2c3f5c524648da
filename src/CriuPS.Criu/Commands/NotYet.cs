namespace CriuPS.Criu.Commands;

/// <summary>Commands of CRIU's for which the engine has nothing yet: remove a line when it has.</summary>
internal static class NotYet
{
    /// <summary>The commands, each with the reason.</summary>
    public static IReadOnlyDictionary<string, string> Commands { get; } = new Dictionary<string, string>
    {
        ["pre-dump"] = "memory in rounds is not there yet",
        ["page-server"] = "there are no page servers yet",
        ["lazy-pages"] = "memory on demand is not there yet",
    };
}
