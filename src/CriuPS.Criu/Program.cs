using System.Runtime.Versioning;
using CriuPS.Criu;

[assembly: SupportedOSPlatform("linux")]

return CommandLine.Run(args);
