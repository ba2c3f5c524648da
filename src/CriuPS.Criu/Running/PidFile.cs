using System.Globalization;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Running;

/// <summary>Writes the pid of the restored root where other programs look for it, before the root runs.</summary>
/// <param name="path">The file, which must not exist.</param>
internal sealed class PidFile(string path) : IOperationHooks
{
    /// <inheritdoc/>
    public void Reach(HookPoint point, int? pid)
    {
        if (point == HookPoint.PostRestore && pid is { } root)
        {
            Write(root);
        }
    }

    /// <summary>Writes a pid.</summary>
    /// <exception cref="CriuException">The file exists or cannot be written.</exception>
    public void Write(int pid)
    {
        try
        {
            using FileStream file = new(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            file.Write(System.Text.Encoding.ASCII.GetBytes(pid.ToString(CultureInfo.InvariantCulture)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            CriuErrorKind kind = File.Exists(path) ? CriuErrorKind.AlreadyExists : CriuErrorKind.PermissionDenied;
            throw new CriuException("PidFileUnwritable", kind, $"the pid file {path} cannot be made: {e.Message}", e) { Subject = path };
        }
    }
}

/// <summary>Hooks one after the other; the first that disagrees ends the row.</summary>
internal sealed class HookChain(IReadOnlyList<IOperationHooks> hooks) : IOperationHooks
{
    /// <summary>The hooks that options ask for, behind those of a client; null for none.</summary>
    public static IOperationHooks? Of(CriuOptions options, Log log, IOperationHooks? client = null)
    {
        List<IOperationHooks> hooks = [];
        if (client is not null)
        {
            hooks.Add(client);
        }

        if (!options.ActionScripts.IsEmpty)
        {
            hooks.Add(new ActionScripts(options, log));
        }

        if (options.PidFile is { } path)
        {
            hooks.Add(new PidFile(path));
        }

        return hooks.Count == 0 ? null : new HookChain(hooks);
    }

    /// <inheritdoc/>
    public void Reach(HookPoint point, int? pid)
    {
        foreach (IOperationHooks hook in hooks)
        {
            hook.Reach(point, pid);
        }
    }
}
