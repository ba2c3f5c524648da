using CriuPS.Criu;
using CriuPS.Criu.Running;

StandardStreams.Fill();
return CommandLine.Run(args);
