using System.Globalization;

namespace CriuPS.Engine.Images;

/// <summary>Device numbers in their two forms, and as <c>major:minor</c>.</summary>
internal static class DeviceNumber
{
    private const int KernelMinorBits = 20; // include/linux/kdev_t.h

    /// <summary>Shows a number.</summary>
    /// <param name="number">The number.</param>
    /// <param name="user">Whether it is in the form of user space, see makedev(3), else in the kernel's own.</param>
    public static string Show(ulong number, bool user)
    {
        ulong major = user ? ((number >> 8) & 0xfff) | ((number >> 32) & 0xfffff000) : number >> KernelMinorBits;
        ulong minor = user ? (number & 0xff) | ((number >> 12) & 0xffffff00) : number & ((1 << KernelMinorBits) - 1);
        return string.Create(CultureInfo.InvariantCulture, $"{major}:{minor}");
    }

    /// <summary>The way back.</summary>
    /// <exception cref="FormatException">It is not <c>major:minor</c>.</exception>
    /// <exception cref="OverflowException">One of them is no 32-bit number.</exception>
    public static ulong Parse(string text, bool user)
    {
        string[] parts = text.Split(':');
        if (parts.Length != 2)
        {
            throw new FormatException($"'{text}' is not major:minor");
        }

        ulong major = uint.Parse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture);
        ulong minor = uint.Parse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture);
        return user
            ? ((major & 0xfff) << 8) | ((major & 0xfffff000) << 32) | (minor & 0xff) | ((minor & 0xffffff00) << 12)
            : (major << KernelMinorBits) | minor;
    }
}
