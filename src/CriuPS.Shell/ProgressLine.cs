using System.Management.Automation;

namespace CriuPS.Shell;

/// <summary>The last line of the terminal while something takes long: one activity, redrawn in place on standard error.</summary>
/// <param name="enabled">False where nobody looks.</param>
internal sealed class ProgressLine(bool enabled)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private DateTime _drawnAt;
    private bool _visible;

    public void Show(ProgressRecord record)
    {
        if (!enabled)
        {
            return;
        }

        lock (_lock)
        {
            if (record.RecordType == ProgressRecordType.Completed)
            {
                Erase();
                return;
            }

            if (_visible && DateTime.UtcNow - _drawnAt < Pause)
            {
                return;
            }

            var percent = record.PercentComplete >= 0 ? $" {record.PercentComplete,3}%" : "";
            var text = $"{record.Activity}:{percent} {record.StatusDescription}";
            var width = Math.Max(20, Console.IsOutputRedirected ? 80 : Console.WindowWidth) - 1;
            Console.Error.Write($"\r\e[K\e[36m{(text.Length > width ? text[..width] : text)}\e[0m");
            _drawnAt = DateTime.UtcNow;
            _visible = true;
        }
    }

    /// <summary>Makes room for text; the next record draws the line again.</summary>
    public void Hide() => Clear();

    public void Clear()
    {
        lock (_lock)
        {
            Erase();
        }
    }

    private void Erase()
    {
        if (_visible)
        {
            Console.Error.Write("\r\e[K");
            _visible = false;
        }
    }
}
