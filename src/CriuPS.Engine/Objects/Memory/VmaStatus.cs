namespace CriuPS.Engine.Objects.Memory;

/// <summary>What kind of mapping an image's vma_entry is (field status); the bits are part of the image format.</summary>
[Flags]
internal enum VmaStatus : uint
{
    None = 0,
    Regular = 1 << 0,
    Stack = 1 << 1,
    Vsyscall = 1 << 2,
    Vdso = 1 << 3,
    Heap = 1 << 5,
    FilePrivate = 1 << 6,
    FileShared = 1 << 7,
    AnonymousShared = 1 << 8,
    AnonymousPrivate = 1 << 9,
    SysvIpc = 1 << 10,
    Socket = 1 << 11,
    Vvar = 1 << 12,
    AioRing = 1 << 13,
    MemFd = 1 << 14,
    ShadowStack = 1 << 15,
    Guard = 1 << 16,
    Uprobes = 1 << 17,
    ExternalPlugin = 1 << 27,
}
