using CriuPS.Engine.Compel;
using CriuPS.Engine.Compel.X64;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>What probes work with: children of ours, made when they are first asked for and gone with the bench.</summary>
internal sealed class ProbeBench(CancellationToken cancellation) : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly Dictionary<ulong, ProbeChild> _children = [];

    /// <summary>The tracer of all children: probes run on the thread that made the bench.</summary>
    public Tracer Tracer { get; } = new(new X64Architecture(), s_patience, cancellation);

    /// <summary>A child that all probes share which leave its namespaces, credentials and code alone.</summary>
    public ProbeChild Child => In(0);

    /// <summary>A child in new namespaces of these kinds, shared as <see cref="Child"/> is.</summary>
    /// <exception cref="Errors.KernelException">The kernel has no such namespaces, or the privilege is missing.</exception>
    public ProbeChild In(ulong namespaces)
    {
        if (_children.TryGetValue(namespaces, out ProbeChild? child) && !child.Task.Released)
        {
            child.Reset();
            return child;
        }

        child?.Dispose();
        child = Fresh();
        try
        {
            if (namespaces != 0)
            {
                child.Must($"unshare(0x{namespaces:x})", SyscallNumber.unshare, (long)namespaces);
            }
        }
        catch
        {
            child.Dispose();
            throw;
        }

        _children[namespaces] = child;
        return child;
    }

    /// <summary>A child for one probe, which disposes of it.</summary>
    public ProbeChild Fresh() => ProbeChild.Create(Tracer);

    public void Dispose()
    {
        foreach (ProbeChild child in _children.Values)
        {
            child.Dispose();
        }
    }
}
