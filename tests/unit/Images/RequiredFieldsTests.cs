using System.Collections;
using CriuPS.Engine.Images.Schema;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Xunit;

namespace CriuPS.Tests.Images;

/// <summary>The generated question whether a message is complete, against the one that the library answers by reflection.</summary>
public sealed class RequiredFieldsTests
{
    private static readonly int s_seed = Environment.TickCount;

    public static TheoryData<string> Messages => [.. All().Select(message => message.FullName)];

    [Theory]
    [MemberData(nameof(Messages))]
    public void EachMessageKnowsWhetherItIsComplete(string name)
    {
        MessageDescriptor descriptor = All().Single(message => message.FullName == name);
        for (int seed = s_seed; seed < s_seed + 20; seed++)
        {
            RandomMessage random = new(seed);
            IRequiredFields message = random.Make(descriptor);
            Assert.True(message.HasRequiredFields(), $"seed {seed}: {message}");
            Spoil(message, random);
            Assert.True(message.IsInitialized() == message.HasRequiredFields(), $"seed {seed}: {message}");
        }
    }

    [Fact]
    public void EachRequiredFieldCounts()
    {
        foreach (FieldDescriptor field in All().SelectMany(message => message.Fields.InDeclarationOrder()).Where(field => field.IsRequired))
        {
            IRequiredFields message = new RandomMessage(s_seed).Make(field.ContainingType);
            field.Accessor.Clear(message);
            Assert.False(message.HasRequiredFields(), field.FullName);
        }
    }

    // Takes one field away, on this level or below.
    private static void Spoil(IMessage message, RandomMessage random)
    {
        IList<FieldDescriptor> fields = message.Descriptor.Fields.InDeclarationOrder();
        if (fields.Count == 0)
        {
            return;
        }

        FieldDescriptor field = fields[random.Below(fields.Count)];
        object? value = field.FieldType != FieldType.Message ? null : field.Accessor.GetValue(message);
        IMessage? nested = value is IList { Count: > 0 } list ? (IMessage)list[random.Below(list.Count)]! : value as IMessage;
        if (nested is not null)
        {
            Spoil(nested, random);
        }
        else
        {
            field.Accessor.Clear(message);
        }
    }

    private static IEnumerable<MessageDescriptor> All() => typeof(InventoryEntry).Assembly.GetTypes()
        .Where(type => typeof(IMessage).IsAssignableFrom(type) && type.IsClass)
        .Select(type => ((IMessage)Activator.CreateInstance(type)!).Descriptor);
}
