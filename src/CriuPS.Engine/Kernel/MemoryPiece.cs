namespace CriuPS.Engine.Kernel;

/// <summary>A piece of another process's memory, and what it holds or shall hold.</summary>
/// <param name="Address">Where it is there.</param>
/// <param name="Bytes">Its content here.</param>
internal readonly record struct MemoryPiece(ulong Address, Memory<byte> Bytes);
