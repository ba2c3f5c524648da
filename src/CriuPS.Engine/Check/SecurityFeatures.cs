using System.Globalization;
using System.Text;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>Who logged in (audit) and AppArmor's profiles.</summary>
internal static class SecurityFeatures
{
    private const string AppArmor = "/sys/kernel/security/apparmor";
    private const double StackingVersion = 1.2;

    public static readonly Feature LoginUid = new("loginuid", FeatureCategory.Extra, ProbeLoginUid)
    {
        NeededFor = "who logged in, for the audit", KnownToCriu = true, Since = "Linux 3.13 with CONFIG_AUDITSYSCALL",
        Privilege = "CAP_AUDIT_CONTROL",
    };

    public static readonly Feature Stacking = new("apparmor_stacking", FeatureCategory.Named, ProbeStacking)
    {
        NeededFor = "processes under stacked AppArmor profiles", KnownToCriu = true,
        Since = "Linux 4.13 with CONFIG_SECURITY_APPARMOR and AppArmor on",
    };

    private static Answer ProbeLoginUid(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        if (ProcAttributes.ReadLoginUid(child.Proc) is not { } before)
        {
            return Answer.No("/proc/PID/loginuid does not exist");
        }

        long unset = Write(child, ProcAttributes.Unset);
        return Answer.Of("write to /proc/PID/loginuid", Syscall.IsError(unset) ? unset : Write(child, before));
    }

    private static long Write(ProbeChild child, uint uid)
    {
        long file = child.Open("/proc/self/loginuid", OpenAt.O_WRONLY);
        byte[] text = Encoding.ASCII.GetBytes(uid.ToString(CultureInfo.InvariantCulture));
        return Syscall.IsError(file) ? file : child.Call(SyscallNumber.write, file, child.Put(text), text.Length);
    }

    // The kernel tells what AppArmor can do, and nothing but that can be tried without loading a profile.
    private static Answer ProbeStacking(ProbeBench bench)
    {
        if (!Directory.Exists(AppArmor))
        {
            return Answer.No($"{AppArmor} does not exist: AppArmor is off, or securityfs is not mounted");
        }

        string stack = TryRead($"{AppArmor}/features/domain/stack");
        string version = TryRead($"{AppArmor}/features/domain/version");
        return stack == "yes" && double.TryParse(version, CultureInfo.InvariantCulture, out double number) && number >= StackingVersion
            ? Answer.Yes($"AppArmor's stacking, version {version}")
            : Answer.No($"AppArmor's stacking is '{stack}', its version '{version}'");
    }

    private static string TryRead(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : "";
}
