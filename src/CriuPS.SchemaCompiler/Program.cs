using CriuPS.SchemaCompiler;
using Google.Protobuf.Reflection;

if (args.Length != 2)
{
    Console.Error.WriteLine("usage: CriuPS.SchemaCompiler DESCRIPTOR-SET OUTPUT.cs");
    return 2;
}

File.WriteAllText(args[1], OtherHalves.Source(FileDescriptorSet.Parser.ParseFrom(File.ReadAllBytes(args[0]))));
return 0;
