using System.Diagnostics.CodeAnalysis;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>
/// A directory of image files: one checkpoint, or one that is being made. A directory without an inventory is no checkpoint; the inventory
/// is written last, when everything else is complete and on disk. Making a set is in <c>ImageSet.Writing.cs</c>.
/// </summary>
public sealed partial class ImageSet : IDisposable
{
    private readonly SafeFileHandle _directory;

    private ImageSet(SafeFileHandle directory, string path, ImageLimits? limits, bool writable)
    {
        _directory = directory;
        Path = path;
        Limits = limits ?? ImageLimits.Default;
        _writable = writable;
    }

    /// <summary>The directory's path when it was opened.</summary>
    public string Path { get; }

    /// <summary>Bounds of what is read.</summary>
    public ImageLimits Limits { get; }

    /// <summary>Whether there is an inventory: without one the directory is no checkpoint.</summary>
    public bool HasInventory => Exists(ImageType.Inventory);

    /// <summary>Opens a directory to read what is in it. It need not be a complete checkpoint.</summary>
    /// <exception cref="KernelException">The directory cannot be opened.</exception>
    public static ImageSet Open(string path, ImageLimits? limits = null) =>
        new(OpenDirectory(null, path, path), System.IO.Path.GetFullPath(path), limits, writable: false);

    /// <summary>Reads from a directory that is already open.</summary>
    /// <param name="directory">The directory; it stays the caller's.</param>
    /// <param name="limits">Bounds; null for the defaults.</param>
    /// <exception cref="KernelException">The descriptor is no directory.</exception>
    public static ImageSet Open(SafeFileHandle directory, ImageLimits? limits = null) =>
        new(OpenDirectory(directory, ".", ShownPath(directory)), ShownPath(directory), limits, writable: false);

    /// <summary>Whether a file exists.</summary>
    /// <exception cref="KernelException">It exists but cannot be opened.</exception>
    public bool Exists(ImageType type, ulong? id = null)
    {
        using SafeFileHandle? file = OpenFile(type.FileName(id));
        return file is not null;
    }

    /// <summary>Reads the inventory and checks that the rest of the set is in a known version of the format.</summary>
    /// <exception cref="ImageException">There is none, or the version is not known.</exception>
    public InventoryEntry ReadInventory()
    {
        InventoryEntry inventory = ReadSingle<InventoryEntry>(ImageType.Inventory);
        return inventory.ImgVersion is ImageMagic.VersionWithoutCommonMagic or ImageMagic.Version
            ? inventory
            : throw new ImageException(ImageException.UnknownImageVersion, FullName(ImageType.Inventory.FileName()), 0,
                $"it says that the images have version {inventory.ImgVersion}; 1 and 2 are known");
    }

    /// <summary>Starts to read a file.</summary>
    /// <returns>Null when there is no such file: there were no such objects.</returns>
    /// <exception cref="CriuException">The file cannot be opened, or is of another kind.</exception>
    public ImageReader? OpenReader(ImageType type, ulong? id = null)
    {
        string name = type.FileName(id);
        return OpenFile(name) is { } file ? ImageReader.Open(file, FullName(name), type, id, Limits) : null;
    }

    /// <summary>Opens a file without looking into it: pages, archives, what other tools have written.</summary>
    /// <returns>Null when there is no such file.</returns>
    /// <exception cref="KernelException">The file cannot be opened.</exception>
    public SafeFileHandle? OpenRaw(ImageType type, ulong? id = null) => OpenFile(type.FileName(id));

    /// <summary>Opens a pages file of a complete set for reading and writing.</summary>
    /// <exception cref="KernelException">It cannot be opened.</exception>
    internal SafeFileHandle OpenPagesToChange(uint id)
    {
        string name = ImageType.Pages.FileName(id);
        return FileAt.TryOpen(_directory, name, FileAt.O_RDWR | FileAt.O_NOFOLLOW, 0, out int errno)
            ?? throw new KernelException($"open {FullName(name)}", errno) { Subject = FullName(name) };
    }

    /// <summary>Reads the first entry of a file.</summary>
    /// <returns>False when there is no such file.</returns>
    /// <exception cref="CriuException">The file cannot be read, or has no entry.</exception>
    public bool TryReadSingle<T>(ImageType type, ulong? id, [NotNullWhen(true)] out T? message)
        where T : class, IMessage<T>, new()
    {
        using ImageReader? reader = OpenReader(type, id);
        message = reader?.Read<T>();
        return message is not null
            || (reader is null ? false : throw new ImageException(ImageException.TruncatedImage, reader.FileName, 0, "it has no entry"));
    }

    /// <summary>Reads the first entry of a file that must be there.</summary>
    /// <exception cref="CriuException">The file is missing, cannot be read, or has no entry.</exception>
    public T ReadSingle<T>(ImageType type, ulong? id = null)
        where T : class, IMessage<T>, new() =>
        TryReadSingle(type, id, out T? message)
            ? message
            : throw new ImageException(ImageException.MissingImage, FullName(type.FileName(id)), 0, "there is no such file");

    /// <summary>Reads the entries of a file, none when there is no such file. Bytes that belong to entries are skipped.</summary>
    /// <exception cref="CriuException">The file cannot be read.</exception>
    public IEnumerable<T> ReadAll<T>(ImageType type, ulong? id = null)
        where T : class, IMessage<T>, new()
    {
        using ImageReader? reader = OpenReader(type, id);
        while (reader?.Read<T>() is { } entry)
        {
            yield return entry;
        }
    }

    /// <summary>Takes the entries of a file to which no bytes belong, for several threads to read.</summary>
    /// <exception cref="CriuException">The file cannot be read.</exception>
    internal SharedParsing<T> Share<T>(ImageType type, ulong? id = null)
        where T : class, IMessage<T>, new()
    {
        using ImageReader? reader = OpenReader(type, id);
        return new SharedParsing<T>(reader);
    }

    /// <summary>Lists the image files by kind and id; files with other names are left out.</summary>
    /// <exception cref="CriuException">The directory cannot be read, or has more files than the limit.</exception>
    public IReadOnlyList<ImageFile> ListFiles()
    {
        var files = new List<ImageFile>();
        foreach (string name in ListNames())
        {
            if (ImageType.FromFileName(name, out ulong? id) is { } type)
            {
                files.Add(new ImageFile(name, type, id));
            }
        }

        return [.. files.OrderBy(file => file.Type.Order).ThenBy(file => file.Id)];
    }

    /// <summary>Opens the set of the previous round, to which page maps may refer: where the link <c>parent</c> leads.</summary>
    /// <returns>Null when there is none.</returns>
    /// <exception cref="KernelException">The link leads to nothing that can be opened.</exception>
    public ImageSet? OpenParent()
    {
        SafeFileHandle? link = FileAt.TryOpen(_directory, ParentName, FileAt.O_RDONLY | FileAt.O_DIRECTORY, 0, out int errno);
        if (link is null && errno == Errno.ENOENT && !HasParentLink())
        {
            return null;
        }

        return link is null
            ? throw new KernelException($"open {FullName(ParentName)}", errno) { Subject = FullName(ParentName) }
            : new ImageSet(link, FullName(ParentName), Limits, writable: false);
    }

    /// <summary>Device and inode of the directory: equal pairs mean the same directory.</summary>
    /// <exception cref="KernelException">fstat(2) failed.</exception>
    internal (ulong Device, ulong Inode) Identity() => FileAt.Identity(_directory);

    /// <summary>A file's name with the directory's path, for errors.</summary>
    internal string FullName(string name) => System.IO.Path.Join(Path, name);

    private SafeFileHandle? OpenFile(string name)
    {
        // Without O_NONBLOCK a FIFO of that name would keep us waiting for a writer.
        SafeFileHandle? file = FileAt.TryOpen(_directory, NameNow(name), FileAt.O_RDONLY | FileAt.O_NONBLOCK, 0, out int errno);
        return file is not null || errno == Errno.ENOENT
            ? file
            : throw new KernelException($"open {FullName(name)}", errno) { Subject = FullName(name) };
    }

    private IEnumerable<string> ListNames()
    {
        int count = 0;
        foreach (string path in Directory.EnumerateFileSystemEntries(PathOf(_directory)))
        {
            if (++count > Limits.Files)
            {
                throw new ImageException(ImageException.EntryTooLarge, Path, 0, $"the directory has more than {Limits.Files} files");
            }

            yield return System.IO.Path.GetFileName(path);
        }
    }

    private bool HasParentLink() => ListNames().Contains(ParentName);

    private static SafeFileHandle OpenDirectory(SafeFileHandle? start, string name, string shown) =>
        FileAt.TryOpen(start, name, FileAt.O_RDONLY | FileAt.O_DIRECTORY, 0, out int errno)
        ?? throw new KernelException($"open the directory {shown}", errno) { Subject = shown };

    // For people: where the directory was when it was opened.
    private static string ShownPath(SafeFileHandle directory) => new FileInfo(PathOf(directory)).LinkTarget ?? PathOf(directory);

    // The one path of an open directory that stays right when it is renamed.
    private static string PathOf(SafeFileHandle directory) => $"/proc/self/fd/{directory.DangerousGetHandle()}";
}
