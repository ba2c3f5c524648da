using System.Management.Automation.Host;

namespace CriuPS.Shell;

/// <summary>The terminal's size and keys. Where there is no terminal, lines are wide enough for any table.</summary>
public sealed class EmbeddedRawUI : PSHostRawUserInterface
{
    private const int WidthOfPipe = 160;

    /// <inheritdoc/>
    public override ConsoleColor BackgroundColor { get; set; } = (ConsoleColor)(-1);

    /// <inheritdoc/>
    public override ConsoleColor ForegroundColor { get; set; } = (ConsoleColor)(-1);

    /// <inheritdoc/>
    public override Size BufferSize
    {
        get => Console.IsOutputRedirected ? new Size(WidthOfPipe, int.MaxValue) : WindowSize;
        set => throw Unsupported();
    }

    /// <inheritdoc/>
    public override Size WindowSize
    {
        get => Console.IsOutputRedirected || Console.WindowWidth <= 0
            ? new Size(WidthOfPipe, 50)
            : new Size(Console.WindowWidth, Console.WindowHeight);
        set => throw Unsupported();
    }

    /// <inheritdoc/>
    public override Size MaxPhysicalWindowSize => WindowSize;

    /// <inheritdoc/>
    public override Size MaxWindowSize => WindowSize;

    /// <inheritdoc/>
    public override Coordinates CursorPosition
    {
        get => Console.IsOutputRedirected ? default : new Coordinates(Console.CursorLeft, Console.CursorTop);
        set => Console.SetCursorPosition(value.X, value.Y);
    }

    /// <inheritdoc/>
    public override Coordinates WindowPosition
    {
        get => default;
        set => throw Unsupported();
    }

    /// <inheritdoc/>
    public override int CursorSize { get; set; } = 25;

    /// <inheritdoc/>
    public override string WindowTitle { get; set; } = "CriuPS";

    /// <inheritdoc/>
    public override bool KeyAvailable => !Console.IsInputRedirected && Console.KeyAvailable;

    /// <inheritdoc/>
    public override KeyInfo ReadKey(ReadKeyOptions options)
    {
        var key = Console.ReadKey(intercept: options.HasFlag(ReadKeyOptions.NoEcho));
        return new KeyInfo((int)key.Key, key.KeyChar, default, keyDown: true);
    }

    /// <inheritdoc/>
    public override void FlushInputBuffer()
    {
        while (KeyAvailable)
        {
            Console.ReadKey(intercept: true);
        }
    }

    /// <inheritdoc/>
    public override BufferCell[,] GetBufferContents(Rectangle rectangle) => throw Unsupported();

    /// <inheritdoc/>
    public override void SetBufferContents(Coordinates origin, BufferCell[,] contents) => throw Unsupported();

    /// <inheritdoc/>
    public override void SetBufferContents(Rectangle rectangle, BufferCell fill) => Console.Clear();

    /// <inheritdoc/>
    public override void ScrollBufferContents(Rectangle source, Coordinates destination, Rectangle clip, BufferCell fill) => throw Unsupported();

    private static NotSupportedException Unsupported() => new("a terminal cannot be asked for this");
}
