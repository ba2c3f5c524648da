namespace CriuPS.Engine.Options;

/// <summary>Memory in rounds, over the network, and on demand.</summary>
public partial record CriuOptions
{
    /// <summary>The image set of the round before, relative to the images directory.</summary>
    public string? PreviousImages { get; init; }

    /// <summary>Changes of memory are tracked for the next round.</summary>
    public bool TrackMemory { get; init; }

    /// <summary>How a pre-dump reads memory.</summary>
    public PreDumpMode PreDumpMode { get; init; }

    /// <summary>Pages that are superseded are removed from the older image sets.</summary>
    public bool AutoDeduplicate { get; init; }

    /// <summary>Memory is restored when it is touched.</summary>
    public bool LazyPages { get; init; }

    /// <summary>Pages are sent to a page server.</summary>
    public bool UsePageServer { get; init; }

    /// <summary>The address of a server.</summary>
    public string? Address { get; init; }

    /// <summary>The port of a server; 0 for any.</summary>
    public int Port { get; init; }

    /// <summary>A connection with a page server that is there already.</summary>
    public int? PageServerSocket { get; init; }

    /// <summary>The connection is encrypted.</summary>
    public bool Tls { get; init; }

    /// <summary>The certificates that sign others.</summary>
    public string? TlsCaCertificate { get; init; }

    /// <summary>Certificates that are not valid any more.</summary>
    public string? TlsRevocationList { get; init; }

    /// <summary>Our certificate.</summary>
    public string? TlsCertificate { get; init; }

    /// <summary>Our private key.</summary>
    public string? TlsKey { get; init; }

    /// <summary>The name in the other side's certificate is not looked at.</summary>
    public bool TlsNoNameCheck { get; init; }

    /// <summary>Areas of uprobes are left to the kernel.</summary>
    public bool AllowUprobes { get; init; }
}

/// <summary>How a pre-dump reads memory.</summary>
public enum PreDumpMode { Splice, Read }
