using System.Runtime.ExceptionServices;

namespace CriuPS.Engine.Kernel;

/// <summary>Does the same for many objects on all processors. ptrace, which belongs to one thread, must have no part in it.</summary>
internal static class Workers
{
    // Fewer are done before another thread has been woken up.
    private const int WorthAThread = 4;

    /// <summary>Waits until a work has ended; why it failed, if it did, is another's to tell.</summary>
    public static void AwaitQuietly(Task work) => ((IAsyncResult)work).AsyncWaitHandle.WaitOne();

    /// <summary>Does the work for each object, in no order.</summary>
    /// <exception cref="Exception">The first failure, as it was thrown.</exception>
    public static void Each<T>(IReadOnlyList<T> objects, Action<T> work) => Map(objects, one =>
    {
        work(one);
        return true;
    });

    /// <summary>Makes a result for each object; the results are in the order of the objects.</summary>
    /// <exception cref="Exception">The first failure, as it was thrown.</exception>
    /// <param name="objects">The objects.</param>
    /// <param name="work">The work.</param>
    /// <param name="worthAThread">For how many objects another thread is worth the time of waking it.</param>
    public static TResult[] Map<T, TResult>(IReadOnlyList<T> objects, Func<T, TResult> work, int worthAThread = WorthAThread)
    {
        TResult[] results = new TResult[objects.Count];
        int threads = Math.Min(Environment.ProcessorCount, objects.Count / worthAThread);
        if (threads <= 1)
        {
            for (int i = 0; i < results.Length; i++)
            {
                results[i] = work(objects[i]);
            }

            return results;
        }

        try
        {
            Parallel.For(0, results.Length, new ParallelOptions { MaxDegreeOfParallelism = threads }, i => results[i] = work(objects[i]));
            return results;
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
            throw;
        }
    }
}
