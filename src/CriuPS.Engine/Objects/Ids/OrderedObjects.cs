namespace CriuPS.Engine.Objects.Ids;

/// <summary>
/// Kernel objects that kcmp(2) can only compare: kept in its order, so that finding one among n takes log n calls. The order holds while all holders stand still.
/// </summary>
/// <typeparam name="T">How an object is named to kcmp.</typeparam>
/// <param name="compare">kcmp: negative, 0 for the same object, positive.</param>
internal sealed class OrderedObjects<T>(Func<T, T, int> compare)
{
    private readonly List<(T Object, uint Id)> _known = [];

    /// <summary>The id of an object that is known, or the one that it is given now.</summary>
    /// <param name="name">The object.</param>
    /// <param name="newId">Gives an id to an object that is new.</param>
    /// <param name="isNew">Whether it is new.</param>
    public uint IdOf(T name, Func<uint> newId, out bool isNew)
    {
        int low = 0, high = _known.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            int order = compare(name, _known[middle].Object);
            if (order == 0)
            {
                isNew = false;
                return _known[middle].Id;
            }

            (low, high) = order < 0 ? (low, middle) : (middle + 1, high);
        }

        isNew = true;
        uint id = newId();
        _known.Insert(low, (name, id));
        return id;
    }
}
