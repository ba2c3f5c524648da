using CriuPS.Engine.Compel.X64;
using CriuPS.Engine.Images;

namespace CriuPS.Engine.Dump;

/// <summary>Loads what a dump will need while the target still runs: the first use of a type or a method costs milliseconds.</summary>
internal static class WarmUp
{
    public static void Dump()
    {
        _ = new X64Architecture().Interpreter.Length;
        _ = ProcessImages.Inventory().CalculateSize();
        _ = ImageType.Core;
    }
}
