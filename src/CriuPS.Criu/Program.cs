using CriuPS.Criu;
using CriuPS.Criu.Running;

// Processes stand still while this one works: what it needs for a tree of common size it takes without looking what could be freed. Memory that is not used is
// not taken, and what needs more collects as usual.
const long WithoutCollection = 32 << 20;

StandardStreams.Fill();
GC.TryStartNoGCRegion(WithoutCollection);
return CommandLine.Run(args);
