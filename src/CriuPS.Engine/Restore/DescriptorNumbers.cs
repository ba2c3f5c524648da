using System.Collections;

namespace CriuPS.Engine.Restore;

/// <summary>Which numbers of a table of descriptors are taken: a new file gets the lowest that is not.</summary>
internal sealed class DescriptorNumbers
{
    private const int Usual = 256;

    private readonly BitArray _taken = new(Usual);
    private int _below;

    /// <summary>The lowest number that is free.</summary>
    public int Lowest => _below = From(_below);

    /// <summary>The lowest number above another one that is free.</summary>
    public int After(int number) => From(number + 1);

    public bool IsTaken(int number) => number < _taken.Length && _taken[number];

    public void Take(int number)
    {
        if (number >= _taken.Length)
        {
            _taken.Length = 2 * number;
        }

        _taken[number] = true;
    }

    public void Free(int number)
    {
        _taken[number] = false;
        _below = Math.Min(_below, number);
    }

    private int From(int number)
    {
        while (IsTaken(number))
        {
            number++;
        }

        return number;
    }
}
