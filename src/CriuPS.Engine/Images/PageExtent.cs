namespace CriuPS.Engine.Images;

/// <summary>A run of pages with the place of its bytes, after parents have been followed.</summary>
/// <param name="Address">Address of the first page, or its offset in a shared object.</param>
/// <param name="Pages">How many pages, at least one.</param>
/// <param name="Level">Which of <see cref="PageMapChain.Levels"/> has the bytes: 0 is the set itself, 1 its parent and so on.</param>
/// <param name="Offset">Where in that level's pages file, in bytes; -1 when there are no bytes in any.</param>
/// <param name="Lazy">Whether the pages may be delivered after the restore.</param>
public readonly record struct PageExtent(ulong Address, ulong Pages, int Level, long Offset, bool Lazy)
{
    /// <summary>The byte after the last page.</summary>
    public ulong End => Address + (Pages * PageMap.PageSize);
}
