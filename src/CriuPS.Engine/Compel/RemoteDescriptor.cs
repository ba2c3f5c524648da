namespace CriuPS.Engine.Compel;

/// <summary>A descriptor that a task receives: its number is known when the receipt has run; before that, where in the program it will be.</summary>
internal sealed class RemoteDescriptor(Argument number)
{
    /// <summary>The number for operations that are added now.</summary>
    public Argument Number { get; private set; } = number;

    /// <summary>The number itself, after the receipt has run.</summary>
    public int Value => Number.Kind == Argument.Constant
        ? (int)Number.Value
        : throw new InvalidOperationException("the descriptor has not been received yet");

    /// <summary>Notes the number.</summary>
    public void Arrive(int value) => Number = value;
}
