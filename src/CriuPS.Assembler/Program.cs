using CriuPS.Assembler;

if (args.Length != 1)
{
    Console.Error.WriteLine("usage: CriuPS.Assembler OUTPUT-FILE");
    return 2;
}

File.WriteAllBytes(args[0], InterpreterX64.Assemble());
return 0;
