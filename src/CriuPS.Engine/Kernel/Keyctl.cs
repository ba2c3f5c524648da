namespace CriuPS.Engine.Kernel;

/// <summary>keyctl(2): what a task can ask and do with its keys (include/uapi/linux/keyctl.h).</summary>
internal static unsafe class Keyctl
{
    public const int KEYCTL_GET_KEYRING_ID = 0, KEYCTL_JOIN_SESSION_KEYRING = 1, KEYCTL_REVOKE = 3, KEYCTL_CHOWN = 4, KEYCTL_SETPERM = 5;
    public const int KEYCTL_DESCRIBE = 6, KEYCTL_LINK = 8, KEYCTL_READ = 11;
    public const int KEY_SPEC_THREAD_KEYRING = -1, KEY_SPEC_PROCESS_KEYRING = -2, KEY_SPEC_SESSION_KEYRING = -3, KEY_SPEC_USER_KEYRING = -4;
    public const int KEY_SPEC_USER_SESSION_KEYRING = -5;

    /// <summary>What a key is, for the calling thread: type, owner, group, permissions and name.</summary>
    /// <returns>The length with a zero byte, or a negative errno.</returns>
    public static long Describe(int key, Span<byte> text)
    {
        fixed (byte* at = text)
        {
            return Syscall.Invoke(SyscallNumber.keyctl, KEYCTL_DESCRIBE, key, (long)at, text.Length);
        }
    }
}
