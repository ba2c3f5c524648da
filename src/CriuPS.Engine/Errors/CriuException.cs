namespace CriuPS.Engine.Errors;

/// <summary>What kind of failure it is; faces map it to their own categories and exit codes.</summary>
public enum CriuErrorKind
{
    /// <summary>The caller's options are wrong or contradict each other.</summary>
    BadOption,

    /// <summary>A privilege is missing.</summary>
    PermissionDenied,

    /// <summary>A process, file or image does not exist.</summary>
    NotFound,

    /// <summary>Something that must not be there is there (a pid, an image set).</summary>
    AlreadyExists,

    /// <summary>An image file or a /proc file does not hold what its format says.</summary>
    InvalidData,

    /// <summary>The target holds something that cannot be checkpointed.</summary>
    NotSupported,

    /// <summary>Somebody else holds the target (a tracer, a lock).</summary>
    Busy,

    /// <summary>It took too long.</summary>
    Timeout,

    /// <summary>The kernel refused something that should have worked.</summary>
    KernelFailure,
}

/// <summary>
/// Every failure of the engine. It names the object, says what is wrong and what would help; an errno never travels alone.
/// </summary>
public class CriuException : Exception
{
    /// <param name="id">Stable identifier in PascalCase, without pids or paths, e.g. <c>PidInUse</c>.</param>
    /// <param name="kind">What kind of failure it is.</param>
    /// <param name="message">One sentence that names the object.</param>
    /// <param name="inner">What caused it, if anything.</param>
    public CriuException(string id, CriuErrorKind kind, string message, Exception? inner = null)
        : base(message, inner)
    {
        Id = id;
        Kind = kind;
    }

    /// <summary>Stable identifier of the failure.</summary>
    public string Id { get; }

    /// <summary>What kind of failure it is.</summary>
    public CriuErrorKind Kind { get; }

    /// <summary>The process it happened to, as numbered in the engine's own pid namespace.</summary>
    public int? Pid { get; init; }

    /// <summary>The object it happened to, e.g. <c>fd 7 (socket:[123])</c> or a path.</summary>
    public string? Subject { get; init; }

    /// <summary>The kernel's error number, if the kernel said one.</summary>
    public int? Errno { get; init; }

    /// <summary>What would help: an option, a privilege, an act of the user.</summary>
    public string? Remedy { get; init; }
}
