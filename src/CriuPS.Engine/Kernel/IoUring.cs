using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>io_uring(7): constants and structures (include/uapi/linux/io_uring.h).</summary>
internal static class IoUring
{
    public const uint IORING_SETUP_IOPOLL = 1, IORING_SETUP_SQPOLL = 2, IORING_SETUP_SQ_AFF = 4, IORING_SETUP_CQSIZE = 8, IORING_SETUP_CLAMP = 16;
    public const uint IORING_SETUP_ATTACH_WQ = 32, IORING_SETUP_R_DISABLED = 64, IORING_SETUP_SQE128 = 1024, IORING_SETUP_CQE32 = 2048;
    public const uint IORING_SETUP_SINGLE_ISSUER = 4096, IORING_SETUP_NO_MMAP = 1 << 14, IORING_SETUP_NO_SQARRAY = 1 << 16;

    public const int IORING_ENTER_GETEVENTS = 1, IORING_ENTER_SQ_WAKEUP = 2;
    public const int IORING_REGISTER_EVENTFD = 4, IORING_REGISTER_EVENTFD_ASYNC = 7, IORING_REGISTER_FILES2 = 13, IORING_REGISTER_BUFFERS2 = 15;
    public const int IORING_REGISTER_IOWQ_MAX_WORKERS = 19, IORING_REGISTER_RING_FDS = 20, IORING_REGISTER_FILE_ALLOC_RANGE = 25;

    /// <summary>Where in a ring's file the parts are for mmap(2).</summary>
    public const long IORING_OFF_SQ_RING = 0, IORING_OFF_SQES = 0x10000000;

    /// <summary>A flag of a request: it leaves no completion if it succeeds.</summary>
    public const byte IOSQE_CQE_SKIP_SUCCESS = 64;

    public const byte IORING_OP_NOP = 0, IORING_OP_TIMEOUT = 11;
    public const uint IORING_TIMEOUT_MULTISHOT = 64;

    /// <summary>Size of struct io_uring_sqe.</summary>
    public const int RequestSize = 64;

    [StructLayout(LayoutKind.Sequential)]
    public struct io_sqring_offsets
    {
        public uint head;
        public uint tail;
        public uint ring_mask;
        public uint ring_entries;
        public uint flags;
        public uint dropped;
        public uint array;
        public uint resv1;
        public ulong resv2;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct io_cqring_offsets
    {
        public uint head;
        public uint tail;
        public uint ring_mask;
        public uint ring_entries;
        public uint overflow;
        public uint cqes;
        public uint flags;
        public uint resv1;
        public ulong resv2;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct io_uring_params
    {
        public uint sq_entries;
        public uint cq_entries;
        public uint flags;
        public uint sq_thread_cpu;
        public uint sq_thread_idle;
        public uint features;
        public uint wq_fd;
        public ReservedWords resv;
        public io_sqring_offsets sq_off;
        public io_cqring_offsets cq_off;
    }

    /// <summary>Three words that nobody uses yet.</summary>
    [System.Runtime.CompilerServices.InlineArray(3)]
    public struct ReservedWords
    {
        private uint _first;
    }

    /// <summary>What IORING_REGISTER_FILES2 and IORING_REGISTER_BUFFERS2 take.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct io_uring_rsrc_register
    {
        public uint nr;
        public uint flags;
        public ulong resv2;
        public ulong data;
        public ulong tags;
    }

    /// <summary>What IORING_REGISTER_RING_FDS takes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct io_uring_rsrc_update
    {
        public uint offset;
        public uint resv;
        public ulong data;
    }
}
