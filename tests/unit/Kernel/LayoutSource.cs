using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

namespace CriuPS.Tests.Kernel;

/// <summary>Writes C source that holds the compiler to what C# classes say about the kernel: constants, and layouts of structures.</summary>
internal sealed partial class LayoutSource
{
    private const BindingFlags Statics = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
    private const BindingFlags Fields = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private readonly StringBuilder _text = new("#define _GNU_SOURCE 1\n");

    public LayoutSource(IEnumerable<string> headers, string prelude)
    {
        foreach (string header in headers)
        {
            _text.Append("#include <").Append(header).Append(">\n");
        }

        _text.Append(prelude).Append('\n');
    }

    /// <summary>C names of the constants that were compared.</summary>
    public HashSet<string> Constants { get; } = [];

    /// <summary>C names of the structures that were compared.</summary>
    public HashSet<string> Structures { get; } = [];

    /// <summary>Compares every constant of a class or an enumeration whose name is spelled like one of the kernel's.</summary>
    public void AddConstants(Type type)
    {
        bool systemCalls = type.Name == "SyscallNumber";
        foreach (FieldInfo field in type.GetFields(Statics).Where(f => f.IsLiteral && f.FieldType != typeof(string)))
        {
            if (systemCalls || KernelConstant().IsMatch(field.Name))
            {
                AddConstant(systemCalls ? "__NR_" + field.Name : field.Name, type.Name, field.GetRawConstantValue()!);
            }
        }
    }

    /// <summary>Compares one constant.</summary>
    public void AddConstant(string name, string owner, object value)
    {
        Constants.Add(name);
        (long signed, ulong unsigned) = value switch
        {
            ulong v => ((long)v, v),
            long v => (v, (ulong)v),
            uint v => (v, v),
            int v => (v, (uint)v),
            ushort v => (v, v),
            short v => (v, (ushort)v),
            byte v => (v, v),
            sbyte v => (v, (byte)v),
            _ => throw new NotSupportedException($"{owner}.{name} is a {value.GetType()}"),
        };
        bool unlisted = KernelNames.Unlisted.TryGetValue(name, out (long Value, string Source) documented);
        _text.Append(unlisted ? $"#ifdef {name}\n" : "");
        _text.Append($"_Static_assert((long long)({name}) == {signed}LL || (unsigned long long)({name}) == {unsigned}ULL, ");
        _text.Append($"\"{owner}.{name} is {value} in C#\");\n");
        _text.Append(unlisted ? $"#else\n_Static_assert({documented.Value}LL == {signed}LL, \"{owner}.{name}: {documented.Source}\");\n#endif\n" : "");
    }

    /// <summary>Compares size, and offset and size of each field.</summary>
    public void AddStructure(Type type, string structure, Func<string, string> rename)
    {
        Structures.Add(structure);
        _text.Append($"_Static_assert(sizeof({structure}) == {SizeOf(type)}, \"{type.FullName}: size {SizeOf(type)} in C#\");\n");
        foreach (FieldInfo field in type.GetFields(Fields))
        {
            string name = rename(field.Name);
            string what = $"{type.FullName}.{field.Name}";
            int offset = OffsetOf(field), size = SizeOf(field.FieldType);
            _text.Append($"_Static_assert(offsetof({structure}, {name}) == {offset}, \"{what}: offset {offset} in C#\");\n");
            _text.Append($"_Static_assert(sizeof((({structure} *)0)->{name}) == {size}, \"{what}: size {size} in C#\");\n");
        }
    }

    public override string ToString() => _text.ToString();

    /// <summary>Whether a structure mirrors a foreign one: it has fields that are named as in C.</summary>
    public static bool MirrorsC(Type type) =>
        type is { IsValueType: true, IsEnum: false } && type.GetCustomAttribute<CompilerGeneratedAttribute>() is null
        && type.GetFields(Fields).Any(f => char.IsAsciiLetterLower(f.Name[0]));

    // Marshal.SizeOf and OffsetOf speak of marshalled copies; these two of the structure that a pointer is taken of.
    private static int SizeOf(Type type) =>
        type.IsPointer
            ? IntPtr.Size
            : (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    private static int OffsetOf(FieldInfo field)
    {
        var method = new DynamicMethod("offset", typeof(int), null, typeof(LayoutSource).Module, skipVisibility: true);
        ILGenerator code = method.GetILGenerator();
        code.DeclareLocal(field.DeclaringType!);
        code.Emit(OpCodes.Ldloca_S, (byte)0);
        code.Emit(OpCodes.Ldflda, field);
        code.Emit(OpCodes.Conv_U);
        code.Emit(OpCodes.Ldloca_S, (byte)0);
        code.Emit(OpCodes.Conv_U);
        code.Emit(OpCodes.Sub);
        code.Emit(OpCodes.Conv_I4);
        code.Emit(OpCodes.Ret);
        return (int)method.Invoke(null, null)!;
    }

    [GeneratedRegex("^_*[A-Z][A-Z0-9_]+$")]
    private static partial Regex KernelConstant();
}
