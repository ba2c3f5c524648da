using System.Globalization;
using System.Management.Automation.Host;
using System.Management.Automation.Runspaces;

namespace CriuPS.Shell;

/// <summary>The host that PowerShell sees: a terminal or two pipes, and an exit code.</summary>
public sealed class EmbeddedHost : PSHost, IHostSupportsInteractiveSession
{
    private readonly EmbeddedUI _ui = new();

    /// <summary>The code of <c>exit</c>, once a command has called it.</summary>
    public int? ExitCode { get; private set; }

    /// <inheritdoc/>
    public override string Name => "CriuPS";

    /// <inheritdoc/>
    public override Version Version => typeof(EmbeddedHost).Assembly.GetName().Version!;

    /// <inheritdoc/>
    public override Guid InstanceId { get; } = Guid.NewGuid();

    /// <inheritdoc/>
    public override CultureInfo CurrentCulture => CultureInfo.CurrentCulture;

    /// <inheritdoc/>
    public override CultureInfo CurrentUICulture => CultureInfo.CurrentUICulture;

    /// <inheritdoc/>
    public override PSHostUserInterface UI => _ui;

    /// <inheritdoc/>
    public bool IsRunspacePushed => false;

    /// <inheritdoc/>
    public Runspace Runspace { get; internal set; } = null!;

    /// <summary>Makes ready for the next command of a prompt.</summary>
    public void ForgetExit() => ExitCode = null;

    /// <inheritdoc/>
    public override void SetShouldExit(int exitCode) => ExitCode = exitCode;

    /// <inheritdoc/>
    public override void EnterNestedPrompt() => throw new NotSupportedException("the embedded shell has no nested prompts");

    /// <inheritdoc/>
    public override void ExitNestedPrompt() => throw new NotSupportedException("the embedded shell has no nested prompts");

    /// <inheritdoc/>
    public override void NotifyBeginApplication()
    {
    }

    /// <inheritdoc/>
    public override void NotifyEndApplication()
    {
    }

    /// <inheritdoc/>
    public void PushRunspace(Runspace runspace) => throw new NotSupportedException("the embedded shell has no remoting");

    /// <inheritdoc/>
    public void PopRunspace() => throw new NotSupportedException("the embedded shell has no remoting");
}
