namespace CriuPS.Engine.Objects.Files;

/// <summary>Who is told when a file becomes ready (fcntl(2), F_SETOWN and F_SETSIG).</summary>
internal static class FileOwner
{
    /// <summary>Nobody.</summary>
    public static FownEntry None() => new() { Uid = 0, Euid = 0, Signum = 0, PidType = 0, Pid = 0 };
}
