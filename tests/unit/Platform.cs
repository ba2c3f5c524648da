// The program under test runs on Linux alone, and so do its tests.
[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]
