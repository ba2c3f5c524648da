namespace CriuPS.Engine.Compel;

/// <summary>Everything of a task that the processor holds, and its signal mask: what a cure must put back.</summary>
/// <param name="General">The general registers.</param>
/// <param name="Extended">The extended state (x87, vectors, protection keys) in the layout of ptrace.</param>
/// <param name="SignalMask">The blocked signals, bit n-1 for signal n.</param>
internal sealed record TaskRegisters(byte[] General, byte[] Extended, ulong SignalMask);
