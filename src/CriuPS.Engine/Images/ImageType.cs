using System.Globalization;
using Google.Protobuf.Reflection;

namespace CriuPS.Engine.Images;

/// <summary>
/// A kind of image file: how files of it are named, how they begin and what their entries are. All kinds are static members of this class;
/// see <c>ImageType.Table.cs</c>.
/// </summary>
public sealed partial class ImageType
{
    private readonly string _prefix;
    private readonly string _suffix;

    private ImageType(string name, string pattern, ImageContainer container, uint magic, EntryType? entry)
    {
        int id = pattern.IndexOf('%', StringComparison.Ordinal);
        _prefix = id < 0 ? pattern : pattern[..id];
        _suffix = id < 0 ? string.Empty : pattern[(id + 2)..];
        HasId = id >= 0;
        HasHexId = HasId && pattern[id + 1] == 'x';
        Name = name;
        Container = container;
        Magic = magic;
        Entry = entry;
    }

    /// <summary>Name in the way of CRIU's tools, e.g. <c>CORE</c>. Kinds that share a magic share a name.</summary>
    public string Name { get; }

    /// <summary>How its files begin.</summary>
    public ImageContainer Container { get; }

    /// <summary>The magic number of the kind, 0 for raw files.</summary>
    public uint Magic { get; }

    /// <summary>The message of its entries, or of the first one; null for raw files.</summary>
    public MessageDescriptor? Message => Entry?.Descriptor;

    /// <summary>The message of the second and later entries where that is another one, else null.</summary>
    public MessageDescriptor? FollowingMessage => FollowingEntry?.Descriptor;

    /// <summary>How its entries, or the first one, are parsed; null for raw files.</summary>
    internal EntryType? Entry { get; }

    /// <summary>How the second and later entries are parsed where they are another message, else null.</summary>
    internal EntryType? FollowingEntry { get; private init; }

    /// <summary>What follows each entry.</summary>
    public ImagePayload Payload { get; private init; }

    /// <summary>Whether files of it hold exactly one entry.</summary>
    public bool IsSingle { get; private init; }

    /// <summary>Whether it is only read: present versions keep its content elsewhere.</summary>
    public bool IsLegacy { get; private init; }

    /// <summary>Place in <see cref="All"/>: the order in which people like to read an image set.</summary>
    internal int Order => s_order.GetValueOrDefault(this);

    /// <summary>Whether the file name has an id: of a task, a namespace, an object.</summary>
    public bool HasId { get; }

    /// <summary>Whether the id in the file name is hexadecimal.</summary>
    public bool HasHexId { get; }

    /// <summary>Whether its files have no magic and no entries.</summary>
    public bool IsRaw => Container == ImageContainer.Raw;

    /// <summary>The name of a file of this kind.</summary>
    /// <param name="id">The id in its name; null exactly when <see cref="HasId"/> is false.</param>
    /// <exception cref="ArgumentException">An id is missing, or there is one too many.</exception>
    public string FileName(ulong? id = null)
    {
        if (id.HasValue != HasId)
        {
            throw new ArgumentException(HasId ? $"a {Name} file needs an id" : $"a {Name} file has no id", nameof(id));
        }

        return id is null ? _prefix : _prefix + id.Value.ToString(HasHexId ? "x" : "d", CultureInfo.InvariantCulture) + _suffix;
    }

    /// <summary>Finds the kind and the id that belong to a file name.</summary>
    /// <param name="fileName">A name without directories.</param>
    /// <param name="id">The id in the name, or null.</param>
    /// <returns>Null when no image has such a name.</returns>
    public static ImageType? FromFileName(string fileName, out ulong? id)
    {
        id = null;
        foreach (ImageType type in All)
        {
            if (type.Matches(fileName, out id))
            {
                return type;
            }
        }

        return null;
    }

    /// <summary>Finds the kind that a magic number belongs to; where several share it, the one that present versions write.</summary>
    /// <returns>Null for a number that is nobody's.</returns>
    public static ImageType? FromMagic(uint magic)
    {
        ImageType? found = null;
        foreach (ImageType type in All)
        {
            if (type.Magic == magic && !type.IsRaw && (found is null || (found.IsLegacy && !type.IsLegacy)))
            {
                found = type;
            }
        }

        return found;
    }

    /// <summary>Finds the kind that has a name; where several share it, the one that present versions write.</summary>
    /// <returns>Null for a name that is nobody's.</returns>
    public static ImageType? FromName(string name) =>
        All.Where(type => type.Name == name).OrderBy(type => type.IsLegacy).FirstOrDefault();

    /// <inheritdoc/>
    public override string ToString() => HasId ? $"{_prefix}*{_suffix}" : _prefix;

    private bool Matches(string fileName, out ulong? id)
    {
        id = null;
        if (!HasId)
        {
            return fileName == _prefix;
        }

        if (fileName.Length <= _prefix.Length + _suffix.Length
            || !fileName.StartsWith(_prefix, StringComparison.Ordinal) || !fileName.EndsWith(_suffix, StringComparison.Ordinal))
        {
            return false;
        }

        ReadOnlySpan<char> digits = fileName.AsSpan(_prefix.Length, fileName.Length - _prefix.Length - _suffix.Length);
        NumberStyles style = HasHexId ? NumberStyles.AllowHexSpecifier : NumberStyles.None;
        if (!ulong.TryParse(digits, style, CultureInfo.InvariantCulture, out ulong number) || FileName(number) != fileName)
        {
            return false;
        }

        id = number;
        return true;
    }
}
