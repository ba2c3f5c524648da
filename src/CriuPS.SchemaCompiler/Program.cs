using CriuPS.SchemaCompiler;
using Google.Protobuf.Reflection;

if (args.Length != 2)
{
    Console.Error.WriteLine("usage: CriuPS.SchemaCompiler DESCRIPTOR-SET OUTPUT.cs");
    return 2;
}

FileDescriptorSet schema = FileDescriptorSet.Parser.ParseFrom(File.ReadAllBytes(args[0]));
File.WriteAllText(args[1], RequiredFields.Source(schema) + new WireReading(schema).Source());
return 0;
