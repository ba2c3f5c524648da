using System.Text;
using CriuPS.Engine.Options;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Files;

/// <summary>Where the files of an image set are now. A path is moved by the longest of the beginnings that it has, whole names being compared.</summary>
internal sealed class PathMap(IEnumerable<MovedPath> moved)
{
    private const byte Slash = (byte)'/';

    private readonly List<(byte[] From, byte[] To)> _moved =
        [.. moved.Select(m => (Beginning(m.From), Beginning(m.To))).OrderByDescending(m => m.Item1.Length)];

    /// <summary>No file has moved.</summary>
    public static PathMap None { get; } = new([]);

    /// <summary>Where a path leads now.</summary>
    public ByteString Apply(ByteString path)
    {
        foreach ((byte[] from, byte[] to) in _moved)
        {
            if (path.Span.StartsWith(from) && (path.Length == from.Length || path.Span[from.Length] == Slash))
            {
                byte[] now = [.. to, .. path.Span[from.Length..]];
                return now.Length == 0 ? ByteString.CopyFrom(Slash) : ByteString.CopyFrom(now);
            }
        }

        return path;
    }

    private static byte[] Beginning(string path) => Encoding.UTF8.GetBytes(path.TrimEnd('/'));
}
