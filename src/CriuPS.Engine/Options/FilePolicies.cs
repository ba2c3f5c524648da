namespace CriuPS.Engine.Options;

/// <summary>What a dump does with an open file that it cannot save.</summary>
public enum UnsupportedFiles
{
    /// <summary>The dump is refused.</summary>
    Fail,

    /// <summary>The restored process does not have the descriptor.</summary>
    Close,

    /// <summary>The restored process has /dev/null in its place.</summary>
    Null,
}

/// <summary>What a restore does with a file that is not as it was at the dump.</summary>
public enum ChangedFile
{
    /// <summary>It is refused.</summary>
    Strict,

    /// <summary>The file may have become larger; everything else is refused.</summary>
    Growth,

    /// <summary>Size, permissions and build id may be others; the file must be there, and of the same kind.</summary>
    Ignore,

    /// <summary>The file is written again from the copy in the image set, and is refused where the set has none.</summary>
    Saved,
}

/// <summary>The choice for files by their paths.</summary>
/// <param name="Pattern">A path, in which * stands for anything and ? for one character. Of several that fit, the longest one counts.</param>
/// <param name="Change">What is done with such files.</param>
public readonly record struct FilePolicy(string Pattern, ChangedFile Change);

/// <summary>Another place for files: a path that begins with these names begins with others at the restore.</summary>
/// <param name="From">The beginning at the dump, absolute.</param>
/// <param name="To">The beginning at the restore, absolute.</param>
public readonly record struct MovedPath(string From, string To);
