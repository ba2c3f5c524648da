using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>Files that can only be opened when all descriptors and mappings are in their places, because /proc has them for these.</summary>
internal static class LateFiles
{
    /// <summary>Opens them, and puts them in the places of what kept their numbers until now.</summary>
    public static void Open(IEnumerable<ProcessRestore> processes, SavedFiles files)
    {
        Dictionary<uint, SafeFileHandle> opened = [];
        try
        {
            foreach (ProcessRestore process in processes)
            {
                foreach (FdinfoEntry descriptor in process.Others.Where(d => d.Type == FdTypes.Reg))
                {
                    RegFileEntry saved = files[descriptor].Reg;
                    if (!ProcfsFile.IsOfOneObject(saved.Name.Span))
                    {
                        continue;
                    }

                    if (!opened.TryGetValue(descriptor.Id, out SafeFileHandle? handle))
                    {
                        handle = opened[descriptor.Id] = RegularFile.Open(saved, (int)saved.Flags, files.Opening);
                    }

                    process.Replace(handle, descriptor);
                }
            }
        }
        finally
        {
            foreach (SafeFileHandle handle in opened.Values)
            {
                handle.Dispose();
            }
        }
    }
}
