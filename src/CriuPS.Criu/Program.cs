using System.Runtime.Versioning;
using CriuPS.Criu;
using CriuPS.Criu.Running;

[assembly: SupportedOSPlatform("linux")]

StandardStreams.Fill();
return CommandLine.Run(args);
