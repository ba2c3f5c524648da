using System.Diagnostics;
using System.Management.Automation;
using CriuPS.Engine.Options;

namespace CriuPS.Commands;

/// <summary>The progress display of one operation: a new stage at once, counts within a stage a few times a second.</summary>
internal sealed class OperationProgress(Cmdlet cmdlet, string activity)
{
    private const int ActivityId = 2718;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private long _shownAt;
    private Stage? _stage;
    private bool _visible;

    public void Show(OperationEvent happening)
    {
        var sameStage = _stage == happening.Stage;
        if (sameStage && (happening.Total <= 0 || Stopwatch.GetElapsedTime(_shownAt) < Pause))
        {
            return;
        }

        _stage = happening.Stage;
        _shownAt = Stopwatch.GetTimestamp();
        _visible = true;
        cmdlet.WriteProgress(new ProgressRecord(ActivityId, activity, StatusOf(happening))
        {
            PercentComplete = happening.Total > 0 ? (int)Math.Clamp(happening.Done * 100 / happening.Total, 0, 100) : -1,
        });
    }

    public void Complete()
    {
        if (_visible)
        {
            cmdlet.WriteProgress(new ProgressRecord(ActivityId, activity, "done") { RecordType = ProgressRecordType.Completed });
        }
    }

    private static string StatusOf(OperationEvent happening) =>
        string.IsNullOrEmpty(happening.Message) ? happening.Stage.ToString() : $"{happening.Stage}: {happening.Message}";
}
