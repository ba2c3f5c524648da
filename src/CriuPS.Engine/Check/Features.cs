namespace CriuPS.Engine.Check;

/// <summary>
/// The registry. CRIU's come first, category by category and in the order in which CRIU 4.2 tries them (criu/cr-check.c), because its check
/// ends at the first basic one that is missing; then what this engine uses besides, then privileges.
/// </summary>
internal static class Features
{
    public static IReadOnlyList<Feature> InOrder { get; } = [.. Basic, .. Extra, .. Experimental, .. Named, .. Engine, .. Privileges.All];

    private static Feature[] Basic =>
    [
        MemoryFeatures.Links,
        NetworkFeatures.SocketDiagnostics,
        BirthFeatures.LastPid,
        SocketFeatures.PeekOffset,
        FileFeatures.Compare,
        TaskFeatures.TidAddress,
        LayoutFeatures.Borders,
        FileFeatures.OwnerUids,
        TaskFeatures.ProcStatLine,
        TcpFeatures.Repair,
        DescriptorFeatures.EventFd,
        DescriptorFeatures.Epoll,
        DescriptorFeatures.SignalFd,
        DescriptorFeatures.Inotify,
        FileFeatures.VmSplice,
        FileFeatures.TerminalLock,
        SocketFeatures.Options,
        NamespaceFeatures.IpcNextId,
        TracingFeatures.SigQueueInfo,
        TracingFeatures.PeekSigInfo,
        VdsoFeatures.Move,
    ];

    private static Feature[] Extra =>
    [
        LayoutFeatures.Map,
        SeccompFeatures.Suspend,
        SeccompFeatures.Filters,
        PageTrackingFeatures.SoftDirty,
        TaskFeatures.ProcTimers,
        NetworkFeatures.Tun,
        DescriptorFeatures.TimerFd,
        DescriptorFeatures.MountId,
        MemoryFeatures.Ring,
        DescriptorFeatures.Lock,
        BirthFeatures.ParentAndPidNamespace,
        NamespaceFeatures.Cgroup,
        TcpFeatures.Window,
        TcpFeatures.HalfClosed,
        NamespaceFeatures.User,
        SecurityFeatures.LoginUid,
        VdsoFeatures.Map,
        PageTrackingFeatures.UserFault,
        PageTrackingFeatures.NonCooperative,
        SocketFeatures.Namespace,
        FileFeatures.CompareEpoll,
        NetworkFeatures.RawDiagnostics,
        BirthFeatures.SetTid,
        NamespaceFeatures.Time,
        NetworkFeatures.NewIndex,
        TracingFeatures.PidFdStore,
        TaskFeatures.NamespacePids,
        NetfilterFeatures.Lock,
        SocketFeatures.BufferLock,
        MemoryFeatures.HugeMemfd,
        MountFeatures.SetGroup,
        FileFeatures.OpenAt2,
        TracingFeatures.RseqConfiguration,
        SocketFeatures.FreeBind,
        PageTrackingFeatures.Scan,
        MountFeatures.OverlayMaps,
        TaskFeatures.TimerIds,
        PageTrackingFeatures.GuardPages,
    ];

    private static Feature[] Experimental => [MountFeatures.AutoFs, VdsoFeatures.Compatible];

    private static Feature[] Named =>
    [
        NetworkFeatures.TunNamespace,
        SocketFeatures.UnixFile,
        NetworkFeatures.NamespaceId,
        NetworkFeatures.LinkNamespaceId,
        NamespaceFeatures.ExternalNetwork,
        NetfilterFeatures.Tables,
        NetfilterFeatures.Legacy,
        SecurityFeatures.Stacking,
        HardwareBreakpoint.Works,
    ];

    private static Feature[] Engine =>
    [
        BirthFeatures.Newborn,
        TracingFeatures.Seize,
        TracingFeatures.Registers,
        TracingFeatures.ProcessMemory,
        TracingFeatures.ProcMem,
        MemoryFeatures.Flags,
        MemoryFeatures.Populate,
        TaskFeatures.Children,
        TaskFeatures.RobustList,
        FileFeatures.CloseRange,
        TaskFeatures.Membarrier,
        PageTrackingFeatures.WriteProtect,
        MemoryFeatures.Guard,
        MemoryFeatures.Name,
        MemoryFeatures.HugePagesOff,
        SeccompFeatures.Metadata,
        DescriptorFeatures.NextWatch,
        FileFeatures.Handles,
        NamespaceFeatures.Mount,
        NamespaceFeatures.Network,
        NamespaceFeatures.Uts,
        NamespaceFeatures.Ipc,
        NamespaceFeatures.Pid,
        MountFeatures.NewInterface,
    ];
}
