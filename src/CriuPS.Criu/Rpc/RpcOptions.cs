using System.Globalization;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Rpc;

/// <summary>
/// The options of a request under the names that the command line has for them, so that both faces share one parser, its defaults and its
/// errors. Options that belong to the connection (directories, log, notifications) are the worker's.
/// </summary>
/// <param name="options">The options of the request.</param>
/// <param name="standalone">Whether a service serves the request: then its descriptors are not the client's own.</param>
internal sealed class RpcOptions(CriuOpts options, bool standalone)
{
    private const uint CLONE_NEWNET = 0x40000000;
    private const uint ImageCapability = 8;

    private readonly List<NamedOption> _named = [];

    /// <summary>All options that the request sets, in the order in which the command line would take them.</summary>
    /// <exception cref="RpcException">Options that are not allowed here, or have no meaning.</exception>
    public IReadOnlyList<NamedOption> Named()
    {
        AddSwitches();
        AddTexts();
        AddNumbers();
        AddChoices();
        AddLists();
        AddPageServer();
        AddDescriptors();
        RefuseUnknown();
        return _named;
    }

    // What has no name on a command line, and would have an effect.
    private void RefuseUnknown()
    {
        foreach ((string field, bool set) in new[]
        {
            ("pidfd_store_sk", options.HasPidfdStoreSk), ("status_fd", options.HasStatusFd), ("exec_cmd", options.ExecCmd.Count > 0),
        })
        {
            if (set)
            {
                throw new RpcException($"{field} is not supported yet; leave it out", CriuErrorKind.NotSupported);
            }
        }
    }

    private void AddSwitches()
    {
        Switch("leave-running", options.HasLeaveRunning && options.LeaveRunning);
        Switch("leave-stopped", options.HasLeaveStopped && options.LeaveStopped);
        Switch("tcp-established", options.HasTcpEstablished, options.TcpEstablished);
        Switch("tcp-close", options.HasTcpClose, options.TcpClose);
        Switch("skip-in-flight", options.HasTcpSkipInFlight, options.TcpSkipInFlight);
        Switch("weak-sysctls", options.HasWeakSysctls, options.WeakSysctls);
        Switch("evasive-devices", options.HasEvasiveDevices, options.EvasiveDevices);
        Switch("shell-job", options.HasShellJob, options.ShellJob);
        Switch("skip-file-rwx-check", options.HasSkipFileRwxCheck, options.SkipFileRwxCheck);
        Switch("file-locks", options.HasFileLocks, options.FileLocks);
        Switch("track-mem", options.HasTrackMem, options.TrackMem);
        Switch("link-remap", options.HasLinkRemap, options.LinkRemap);
        Switch("auto-dedup", options.HasAutoDedup, options.AutoDedup);
        Switch("force-irmap", options.HasForceIrmap, options.ForceIrmap);
        Switch("lazy-pages", options.HasLazyPages, options.LazyPages);
        Switch("unprivileged", options.HasUnprivileged, options.Unprivileged);
        Switch("mntns-compat-mode", options.HasMntnsCompatMode, options.MntnsCompatMode);
        Switch("enable-external-sharing", options.HasExtSharing, options.ExtSharing);
        Switch("enable-external-masters", options.HasExtMasters, options.ExtMasters);
        Switch("tls", options.HasTls, options.Tls);
        Switch("tls-no-cn-verify", options.HasTlsNoCnVerify, options.TlsNoCnVerify);
        Switch("display-stats", options.HasDisplayStats, options.DisplayStats);
    }

    private void AddTexts()
    {
        Text("root", options.HasRoot, options.Root);
        Text("prev-images-dir", options.HasParentImg, options.ParentImg);
        Text("freeze-cgroup", options.HasFreezeCgroup, options.FreezeCgroup);
        Text("lsm-profile", options.HasLsmProfile, options.LsmProfile);
        Text("lsm-mount-context", options.HasLsmMountContext, options.LsmMountContext);
        Text("cgroup-props", options.HasCgroupProps, options.CgroupProps);
        Text("cgroup-props-file", options.HasCgroupPropsFile, options.CgroupPropsFile);
        Text("cgroup-yard", options.HasCgroupYard, options.CgroupYard);
        Text("tls-cacert", options.HasTlsCacert, options.TlsCacert);
        Text("tls-cacrl", options.HasTlsCacrl, options.TlsCacrl);
        Text("tls-cert", options.HasTlsCert, options.TlsCert);
        Text("tls-key", options.HasTlsKey, options.TlsKey);
    }

    private void AddNumbers()
    {
        Number("timeout", options.HasTimeout, options.Timeout);
        Number("ghost-limit", options.HasGhostLimit, options.GhostLimit);
        if (options.HasCpuCap)
        {
            Number("cpu-cap", true, options.CpuCap | ImageCapability);
        }
    }

    private void AddChoices()
    {
        if (options.HasManageCgroups || options.HasManageCgroupsMode)
        {
            Text("manage-cgroups", true, CgroupMode());
        }

        if (options.HasPreDumpMode)
        {
            Text("pre-dump-mode", true, options.PreDumpMode == CriuPreDumpMode.VmRead ? "read" : "splice");
        }

        if (options.HasNetworkLock)
        {
            Text("network-lock", true, options.NetworkLock switch
            {
                CriuNetworkLockMethod.Iptables => "iptables",
                CriuNetworkLockMethod.Nftables => "nftables",
                _ => "skip",
            });
        }

        if (options.HasEmptyNs && options.EmptyNs != 0)
        {
            Text("empty-ns", true, options.EmptyNs == CLONE_NEWNET ? "net" : throw new RpcException($"empty_ns 0x{options.EmptyNs:x}: only the network namespace can be empty"));
        }
    }

    // The mode, where it is given, overrides the older switch.
    private string CgroupMode() => (options.HasManageCgroupsMode, options.ManageCgroupsMode) switch
    {
        (true, CriuCgMode.Ignore) => "ignore",
        (true, CriuCgMode.CgNone) => "none",
        (true, CriuCgMode.Props) => "props",
        (true, CriuCgMode.Full) => "full",
        (true, CriuCgMode.Strict) => "strict",
        (true, _) => "soft",
        _ => options.ManageCgroups ? "soft" : "ignore",
    };

    private void AddLists()
    {
        if (options.HasExtUnixSk && options.ExtUnixSk)
        {
            Switch("ext-unix-sk", true);
            Each("ext-unix-sk", options.UnixSkIno.Select(s => s.Inode.ToString(CultureInfo.InvariantCulture)));
        }

        Each("veth-pair", options.Veths.Select(v => $"{v.IfIn}={v.IfOut}"));
        Each("ext-mount-map", options.ExtMnt.Select(m => $"{m.Key}:{m.Val}"));
        if (options.HasAutoExtMnt && options.AutoExtMnt)
        {
            Text("ext-mount-map", true, "auto");
        }

        Each("join-ns", options.JoinNs.Select(n => n.HasExtraOpt ? $"{n.Ns}:{n.NsFile},{n.ExtraOpt}" : $"{n.Ns}:{n.NsFile}"));
        Each("external", options.External);
        Each("cgroup-root", options.CgRoot.Select(r => r.HasCtrl ? $"{r.Ctrl}:{r.Path}" : r.Path));
        Each("cgroup-dump-controller", options.CgroupDumpController);
        Each("enable-fs", options.EnableFs);
        Each("skip-mnt", options.SkipMnt);
        Each("irmap-scan-path", options.IrmapScanPaths);
    }

    private void AddPageServer()
    {
        if (options.Ps is not { } server)
        {
            return;
        }

        if (!options.LazyPages)
        {
            Switch("page-server", true);
            Text("address", server.HasAddress, server.Address);
        }

        Number("port", server.HasPort && server.Port != 0, (ushort)server.Port);
        if (server.HasFd)
        {
            Number("ps-socket", true, Own(server.Fd, "ps.fd"));
        }
    }

    private void AddDescriptors()
    {
        if (options.HasRstSibling && options.RstSibling)
        {
            Own(0, "rst_sibling");
            Switch("restore-sibling", true);
        }

        Each("inherit-fd", options.InheritFd.Select(i => $"fd[{Own(i.Fd, "inherit_fd")}]:{i.Key}"));
    }

    // Numbers in this process's table mean something to the client only where it started this process.
    private int Own(int number, string field) =>
        standalone ? throw new RpcException($"{field} is not allowed over a service's socket; use 'criu swrk'") : number;

    private void Switch(string name, bool set, bool on = true)
    {
        if (set)
        {
            _named.Add(new NamedOption(on ? name : $"no-{name}"));
        }
    }

    private void Text(string name, bool set, string value)
    {
        if (set)
        {
            _named.Add(new NamedOption(name, value));
        }
    }

    private void Number(string name, bool set, long value) => Text(name, set, value.ToString(CultureInfo.InvariantCulture));

    private void Each(string name, IEnumerable<string> values) => _named.AddRange(values.Select(value => new NamedOption(name, value)));
}
