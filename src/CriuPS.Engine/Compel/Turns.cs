using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>
/// Work on many processes that one thread does in turns: while the tasks of one run for it, it goes on with another. ptrace(2) belongs to a thread, so that
/// more threads would be no help.
/// </summary>
internal sealed class Turns
{
    private const int SpinRounds = 50, NapMicroseconds = 20;

    private readonly List<(Func<bool> IsReady, Action GoOn)> _waiting = [];

    /// <summary>Does the work for each object, of some at once, in turns.</summary>
    /// <param name="tracer">Who holds the tasks; everything that waits for them meanwhile must wait in turns.</param>
    /// <param name="objects">The objects.</param>
    /// <param name="atOnce">How many are worked on at a time.</param>
    /// <param name="work">The work; it undoes itself when it fails.</param>
    /// <exception cref="Exception">The first failure, as it was thrown, when all work that had begun has ended.</exception>
    public static void Run<T>(Tracer tracer, IReadOnlyList<T> objects, int atOnce, Func<T, ValueTask> work)
    {
        Turns turns = new();
        Exception? failure = null;
        int next = 0;
        tracer.Turns = objects.Count > 1 ? turns : null;
        try
        {
            Task[] lanes = [.. Enumerable.Range(0, Math.Min(atOnce, objects.Count)).Select(_ => Lane())];
            turns.GoOnUntilAllHaveEnded();
            Debug.Assert(lanes.All(lane => lane.IsCompleted), "nobody waits, and somebody has not ended");
        }
        finally
        {
            tracer.Turns = null;
        }

        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        async Task Lane()
        {
            while (failure is null && next < objects.Count)
            {
                try
                {
                    await work(objects[next++]);
                }
                catch (Exception e)
                {
                    failure ??= e;
                }
            }
        }
    }

    /// <summary>Gives the turn away until something is true; it is asked again and again, and must not wait.</summary>
    public Turn Until(Func<bool> isReady) => new(this, isReady);

    private void GoOnUntilAllHaveEnded()
    {
        for (int idle = 0; _waiting.Count > 0; idle++)
        {
            for (int i = 0; i < _waiting.Count;)
            {
                (Func<bool> isReady, Action goOn) = _waiting[i];
                if (!isReady())
                {
                    i++;
                    continue;
                }

                _waiting.RemoveAt(i);
                idle = 0;
                goOn();
            }

            if (idle > SpinRounds)
            {
                Nap.Microseconds(NapMicroseconds);
            }
        }
    }

    /// <summary>What is awaited to give the turn away.</summary>
    internal readonly struct Turn(Turns turns, Func<bool> isReady) : ICriticalNotifyCompletion
    {
        public bool IsCompleted => isReady();

        public Turn GetAwaiter() => this;

        public void OnCompleted(Action continuation) => turns._waiting.Add((isReady, continuation));

        public void UnsafeOnCompleted(Action continuation) => OnCompleted(continuation);

        public void GetResult()
        {
        }
    }
}
