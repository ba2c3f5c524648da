using CriuPS.Assembler;

if (args.Length != 1)
{
    Console.Error.WriteLine("usage: CriuPS.Assembler OUTPUT-DIRECTORY");
    return 2;
}

File.WriteAllBytes(Path.Combine(args[0], "interpreter-x64.bin"), InterpreterX64.Assemble());
File.WriteAllBytes(Path.Combine(args[0], "birth-x64.bin"), BirthX64.AssembleBirth());
File.WriteAllBytes(Path.Combine(args[0], "cradle-x64.bin"), BirthX64.AssembleCradle());
File.WriteAllBytes(Path.Combine(args[0], "compat-call-x64.bin"), CompatCallX64.Assemble());
return 0;
