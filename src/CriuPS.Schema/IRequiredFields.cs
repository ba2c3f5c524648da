using Google.Protobuf;
using Google.Protobuf.Collections;

namespace CriuPS.Engine.Images.Schema;

/// <summary>A message that knows without reflection whether it is complete.</summary>
public interface IRequiredFields : IMessage
{
    /// <summary>Whether every required field is set, in nested messages too.</summary>
    bool HasRequiredFields();
}

/// <summary>What the generated halves of the messages share.</summary>
internal static class RequiredFields
{
    /// <summary>Whether every message of a list is complete.</summary>
    public static bool AreIn<T>(RepeatedField<T> list)
        where T : IRequiredFields
    {
        foreach (T message in list)
        {
            if (!message.HasRequiredFields())
            {
                return false;
            }
        }

        return true;
    }
}
