using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Credentials;

/// <summary>
/// The session keyring of a process (struct cred.session_keyring; session-keyring(7)): services and logins have one of their own, in which systemd, for one, puts
/// the number of the invocation. Children inherit it. Its number tells the kernel's memory, all else keyctl(2) in the process itself, which can see what it possesses. It is
/// made again by KEYCTL_JOIN_SESSION_KEYRING in a newborn before that has children; the kernel chooses new numbers. All of it is older than Linux 2.6.32.
/// </summary>
internal static class SessionKeyring
{
    /// <summary>Bytes that the questions of <see cref="SaveAsync"/> need.</summary>
    public const int Room = LargestPayload + 4 * LargestDescription;

    private const string UsersSession = "_uid_ses.", Users = "_uid.", Anonymous = "_ses", UserType = "user", KeyringType = "keyring";
    private const int LargestDescription = 4096 + 64, LargestPayload = 32768, MostKeys = 1024;
    private const uint Everything = 0x3f3f0000;

    private readonly record struct Description(string Type, uint Uid, uint Gid, uint Permissions, byte[] Name)
    {
        public bool IsKeyring(string prefix) => Type == KeyringType && Encoding.Latin1.GetString(Name).StartsWith(prefix, StringComparison.Ordinal);
    }

    /// <summary>Saves the keyring of a process with what is in it.</summary>
    /// <param name="process">The process.</param>
    /// <param name="serial">The keyring's number.</param>
    /// <param name="program">Takes questions.</param>
    /// <param name="run">Lets the leader run them.</param>
    /// <exception cref="RefusedException">It has something that cannot be made again.</exception>
    public static async ValueTask<CriupsKeyringEntry> SaveAsync(ProcessDump process, uint serial, SyscallProgram program, Func<ValueTask> run)
    {
        (long described, Description ring, long length, byte[] content) = await AskAsync(Keyctl.KEY_SPEC_SESSION_KEYRING, program, run);
        if (IsDead(described))
        {
            return new CriupsKeyringEntry { Serial = serial, Revoked = true };
        }

        if (described < 0 || length < 0 || length > MostKeys * sizeof(int))
        {
            string reason = described < 0 || length < 0 ? $"the process may not see it ({Errno.Name((int)-Math.Min(described, length))})" : $"it has more than {MostKeys} keys";
            throw Refused(process, $"session keyring {serial:x}", reason);
        }

        CriupsKeyringEntry entry = new()
        {
            Serial = serial, Description = ByteString.CopyFrom(ring.Name), Uid = ring.Uid, Gid = ring.Gid, Permissions = ring.Permissions,
        };
        if (ring.IsKeyring(UsersSession))
        {
            return new CriupsKeyringEntry { Serial = 0 };
        }

        for (int at = 0; at < length; at += sizeof(int))
        {
            int key = BinaryPrimitives.ReadInt32LittleEndian(content.AsSpan(at));
            if (await SaveKeyAsync(process, key, program, run) is { } saved)
            {
                entry.Keys.Add(saved);
            }
        }

        return entry;
    }

    /// <summary>Whether a saved keyring can be made.</summary>
    public static bool IsSound(CriupsKeyringEntry keyring) => IsName(keyring.Description) && keyring.Keys.All(key => IsName(key.Description)
        && (key.HasPayload ? key.Payload.Length is > 0 and < LargestPayload : UserOf(Encoding.Latin1.GetString(key.Description.Span)) is not null));

    /// <summary>Whether the calling task would have no session keyring but its user's. Any thread may ask: its own credentials stay as they are.</summary>
    public static bool OursIsTheUsers()
    {
        bool users = false;

        // The question gives who asks a keyring; a thread of its own does not hand it on.
        Thread asker = new(() => users = IsTheUsers());
        asker.Start();
        asker.Join();
        return users;
    }

    /// <summary>Gives a newborn a new keyring, with all that was in the old one; its owner and permissions come with <see cref="Finish"/>.</summary>
    /// <returns>Its number, and whether it is new: somebody outside may have one of that name that may be joined.</returns>
    public static (int Serial, bool IsNew) Make(RemoteBatch batch, CriupsKeyringEntry keyring)
    {
        const int Ring = Keyctl.KEY_SPEC_SESSION_KEYRING;
        bool named = !keyring.Description.Span.SequenceEqual(Encoding.ASCII.GetBytes(Anonymous)) && !keyring.Revoked;
        batch.Run();
        SyscallProgram program = batch.Room(2, LargestDescription);
        ulong name = named ? program.Put(CString.From(keyring.Description.Span)) : 0, content = program.Reserve(sizeof(int));
        Operation join = program.Add("keyctl(KEYCTL_JOIN_SESSION_KEYRING)", SyscallNumber.keyctl, Keyctl.KEYCTL_JOIN_SESSION_KEYRING, name);
        Operation keys = program.Add("keyctl(KEYCTL_READ)", SyscallNumber.keyctl, Keyctl.KEYCTL_READ, Ring, content, sizeof(int));
        batch.RunAndLoad();
        (int serial, bool isNew) = ((int)program.Result(join), program.Result(keys) == 0);
        program.Clear();
        if (!isNew)
        {
            return (serial, false);
        }

        foreach (CriupsKeyEntry key in keyring.Keys)
        {
            AddKey(batch, key);
        }

        if (keyring.Revoked)
        {
            batch.Add("keyctl(KEYCTL_REVOKE)", SyscallNumber.keyctl, Keyctl.KEYCTL_REVOKE, Ring);
        }
        else
        {
            batch.Add("keyctl(KEYCTL_SETPERM)", SyscallNumber.keyctl, Keyctl.KEYCTL_SETPERM, Ring, Everything);
        }

        // Others may be about to join it.
        batch.Run();
        return (serial, true);
    }

    /// <summary>Lets a newborn join a keyring that another one has made; only its name leads to it.</summary>
    public static void Join(RemoteBatch batch, CriupsKeyringEntry keyring, int serial)
    {
        SyscallProgram program = batch.Room(1, LargestDescription);
        ulong name = program.Put(CString.From(keyring.Description.Span));
        Operation join = program.Add("keyctl(KEYCTL_JOIN_SESSION_KEYRING)", SyscallNumber.keyctl, Keyctl.KEYCTL_JOIN_SESSION_KEYRING, name);
        batch.Then(answers => Expect(batch, answers.Result(join), serial));
        batch.Run();
    }

    /// <summary>Gives a newborn its user's session keyring, which those have who never asked for another.</summary>
    /// <param name="batch">Takes its calls.</param>
    /// <param name="uid">The user that it will have.</param>
    public static void TakeUsers(RemoteBatch batch, uint uid)
    {
        SyscallProgram program = batch.Room(8, 64);
        AsUser(batch, uid, () =>
        {
            Operation wanted = program.Add(
                "keyctl(KEYCTL_GET_KEYRING_ID)", SyscallNumber.keyctl, Keyctl.KEYCTL_GET_KEYRING_ID, Keyctl.KEY_SPEC_USER_SESSION_KEYRING, 0);
            ulong name = program.Put(CString.From($"{UsersSession}{uid}"));
            Operation join = program.Add("keyctl(KEYCTL_JOIN_SESSION_KEYRING)", SyscallNumber.keyctl, Keyctl.KEYCTL_JOIN_SESSION_KEYRING, name);
            batch.Then(answers => Expect(batch, answers.Result(join), answers.Result(wanted)));
        });
        batch.Run();
    }

    /// <summary>Gives a keyring that a newborn has made its owner and its permissions, when nobody has to join it any more.</summary>
    public static void Finish(RemoteBatch batch, CriupsKeyringEntry keyring)
    {
        if (!keyring.Revoked)
        {
            SetOwner(batch, Keyctl.KEY_SPEC_SESSION_KEYRING, keyring.Uid, keyring.Gid, keyring.Permissions);
        }
    }

    private static async ValueTask<CriupsKeyEntry?> SaveKeyAsync(ProcessDump process, int serial, SyscallProgram program, Func<ValueTask> run)
    {
        (long described, Description key, long length, byte[] payload) = await AskAsync(serial, program, run);
        if (IsDead(described))
        {
            return null;
        }

        if (described < 0)
        {
            throw Refused(process, $"key {serial:x}", $"it is in the session keyring, and the process may not see it ({Errno.Name((int)-described)})");
        }

        string name = $"{key.Type} key '{Encoding.UTF8.GetString(key.Name)}'";
        CriupsKeyEntry entry = new() { Description = ByteString.CopyFrom(key.Name), Uid = key.Uid, Gid = key.Gid, Permissions = key.Permissions };
        if (key.IsKeyring(Users) || key.IsKeyring(UsersSession))
        {
            return entry;
        }

        if (key.Type != UserType || length < 0 || length > payload.Length)
        {
            throw Refused(process, name, key.Type == UserType ? "it is in the session keyring, and the process may not read it" : "keys of that type cannot be made again");
        }

        entry.Payload = ByteString.CopyFrom(payload.AsSpan(0, (int)length));
        return entry;
    }

    private static async ValueTask<(long Described, Description Key, long Length, byte[] Content)> AskAsync(int key, SyscallProgram program, Func<ValueTask> run)
    {
        program.Clear();
        ulong text = program.Reserve(LargestDescription), content = program.Reserve(LargestPayload);
        Operation describe = program.Try("keyctl(KEYCTL_DESCRIBE)", SyscallNumber.keyctl, Keyctl.KEYCTL_DESCRIBE, key, text, LargestDescription);
        Operation read = program.Try("keyctl(KEYCTL_READ)", SyscallNumber.keyctl, Keyctl.KEYCTL_READ, key, content, LargestPayload);
        await run();
        long described = program.Result(describe);
        Description description = described > 0 ? Parse(program.At(text, (int)Math.Min(described, LargestDescription))) : default;
        return (described, description, program.Result(read), program.At(content, LargestPayload).ToArray());
    }

    // "type;uid;gid;permissions;name" and a zero byte; the name may have semicolons itself.
    private static Description Parse(ReadOnlySpan<byte> text)
    {
        string[] fields = Encoding.Latin1.GetString(text[..^1]).Split(';', 5);
        return new Description(
            fields[0], uint.Parse(fields[1], CultureInfo.InvariantCulture), uint.Parse(fields[2], CultureInfo.InvariantCulture),
            uint.Parse(fields[3], NumberStyles.HexNumber, CultureInfo.InvariantCulture), Encoding.Latin1.GetBytes(fields[4]));
    }

    private static bool IsName(ByteString text) => text.Length < LargestDescription && !text.Span.Contains((byte)0);

    private static bool IsDead(long result) => -result is Errno.ENOKEY or Errno.EKEYEXPIRED or Errno.EKEYREVOKED;

    private static bool IsTheUsers()
    {
        byte[] text = new byte[LargestDescription];
        long length = Keyctl.Describe(Keyctl.KEY_SPEC_SESSION_KEYRING, text);
        return -length is Errno.ENOSYS or Errno.EPERM || length > 0 && length <= text.Length && Parse(text.AsSpan(0, (int)length)).IsKeyring(UsersSession);
    }

    private static void AddKey(RemoteBatch batch, CriupsKeyEntry key)
    {
        const int Ring = Keyctl.KEY_SPEC_SESSION_KEYRING;
        if (!key.HasPayload)
        {
            LinkUsers(batch, Encoding.Latin1.GetString(key.Description.Span));
            return;
        }

        SyscallProgram program = batch.Room(3, key.Payload.Length + key.Description.Length + 128);
        ulong type = program.Put(CString.From(UserType)), name = program.Put(CString.From(key.Description.Span)), payload = program.Put(key.Payload.Span);
        Operation added = program.Add($"add_key '{key.Description.ToStringUtf8()}'", SyscallNumber.add_key, type, name, payload, key.Payload.Length, Ring);
        SetOwner(batch, added, key.Uid, key.Gid, key.Permissions);
    }

    private static void LinkUsers(RemoteBatch batch, string name)
    {
        bool session = name.StartsWith(UsersSession, StringComparison.Ordinal);
        int source = session ? Keyctl.KEY_SPEC_USER_SESSION_KEYRING : Keyctl.KEY_SPEC_USER_KEYRING;
        AsUser(batch, UserOf(name)!.Value, () => batch.Add(
            "keyctl(KEYCTL_LINK)", SyscallNumber.keyctl, Keyctl.KEYCTL_LINK, source, Keyctl.KEY_SPEC_SESSION_KEYRING));
    }

    private static uint? UserOf(string name)
    {
        string prefix = name.StartsWith(UsersSession, StringComparison.Ordinal) ? UsersSession : Users;
        bool isOne = name.StartsWith(prefix, StringComparison.Ordinal);
        return isOne && uint.TryParse(name.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out uint uid) ? uid : null;
    }

    private static void SetOwner(RemoteBatch batch, Argument key, uint uid, uint gid, uint permissions)
    {
        SyscallProgram program = batch.Room(2);
        if (uid != Ours(SyscallNumber.geteuid) || gid != Ours(SyscallNumber.getegid))
        {
            program.Add($"keyctl(KEYCTL_CHOWN, {uid}, {gid})", SyscallNumber.keyctl, Keyctl.KEYCTL_CHOWN, key, uid, gid);
        }

        program.Add($"keyctl(KEYCTL_SETPERM, 0x{permissions:x})", SyscallNumber.keyctl, Keyctl.KEYCTL_SETPERM, key, permissions);
    }

    // Whose keyrings the special numbers mean is a matter of the real user; what may be joined, one of the user for files.
    private static void AsUser(RemoteBatch batch, uint uid, Action act)
    {
        uint own = Ours(SyscallNumber.geteuid);
        if (uid != own)
        {
            batch.Add($"setresuid({uid})", SyscallNumber.setresuid, uid, -1, -1);
            batch.Add($"setfsuid({uid})", SyscallNumber.setfsuid, uid);
        }

        act();
        if (uid != own)
        {
            batch.Add($"setfsuid({own})", SyscallNumber.setfsuid, own);
            batch.Add($"setresuid({own})", SyscallNumber.setresuid, own, -1, -1);
        }
    }

    private static uint Ours(int call) => (uint)Syscall.Invoke(call);

    private static void Expect(RemoteBatch batch, long joined, long wanted)
    {
        if (joined != wanted)
        {
            throw new CriuException("KeyringNotShared", CriuErrorKind.Busy, $"process {batch.Task.Pid}: another session keyring ({joined:x}) of the same name is in its way")
            {
                Pid = batch.Task.Pid, Remedy = "try again",
            };
        }
    }

    private static RefusedException Refused(ProcessDump process, string subject, string reason) =>
        new([new Refusal(process.Pid, process.Name, subject, reason, "keep keys in the user's keyring")]);
}
