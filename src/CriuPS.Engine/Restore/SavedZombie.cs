using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;

namespace CriuPS.Engine.Restore;

/// <summary>A process of an image set that had ended and waited for its parent.</summary>
/// <param name="Pid">Its number.</param>
/// <param name="Name">Its name.</param>
/// <param name="ExitStatus">How it ended, as wait(2) tells it.</param>
internal readonly record struct SavedZombie(int Pid, Google.Protobuf.ByteString Name, int ExitStatus)
{
    /// <summary>How images say that a process had ended.</summary>
    public const uint DeadState = 2;

    private const int CoreDumped = 0x80;

    /// <summary>The signal that ended it; 0 where it exited.</summary>
    public int Signal => ExitStatus & 0x7f;

    /// <summary>The code that it exited with.</summary>
    public int Code => (ExitStatus >> 8) & 0xff;

    public static SavedZombie From(ImageSet images, int pid, CoreEntry core)
    {
        uint status = core.Tc.ExitCode;
        bool exited = (status & ~0xff00u) == 0, killed = (status & ~(uint)CoreDumped) is > 0 and <= Kernel.Signals.Count;
        return exited || killed
            ? new SavedZombie(pid, core.Tc.Comm, (int)status)
            : throw new ImageException(ImageException.MalformedEntry, Path.Join(images.Path, $"core-{pid}.img"), 0, $"0x{status:x} is no exit status");
    }
}
