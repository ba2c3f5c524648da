using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Restore;

public sealed class DescriptorNumbersTests
{
    [Fact]
    public void The_lowest_is_the_lowest_that_nobody_has()
    {
        Random random = new(1);
        DescriptorNumbers numbers = new();
        HashSet<int> taken = [];
        for (int i = 0; i < 20_000; i++)
        {
            int number = random.Next(1000);
            if (taken.Remove(number))
            {
                numbers.Free(number);
            }
            else
            {
                numbers.Take(number);
                taken.Add(number);
            }

            int lowest = Enumerable.Range(0, 1001).First(n => !taken.Contains(n));
            Assert.Equal(lowest, numbers.Lowest);
            Assert.Equal(Enumerable.Range(lowest + 1, 1001).First(n => !taken.Contains(n)), numbers.After(lowest));
            Assert.Equal(taken.Contains(number), numbers.IsTaken(number));
        }
    }
}
