using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>The older asynchronous input and output of io_setup(2): structures and constants (include/uapi/linux/aio_abi.h; struct aio_ring in fs/aio.c).</summary>
internal static class Aio
{
    public const int IOCB_CMD_PWRITE = 1;
    public const uint AIO_RING_MAGIC = 0xa10a10a1;

    /// <summary>sizeof(struct io_event)</summary>
    public const int EventSize = 32;

    /// <summary>A request.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct iocb
    {
        public ulong aio_data;
        public uint aio_key;
        public int aio_rw_flags;
        public ushort aio_lio_opcode;
        public short aio_reqprio;
        public uint aio_fildes;
        public ulong aio_buf;
        public ulong aio_nbytes;
        public long aio_offset;
        public ulong aio_reserved2;
        public uint aio_flags;
        public uint aio_resfd;
    }

    /// <summary>The start of a ring, which its process can see; events follow.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct aio_ring
    {
        public uint id;
        public uint nr;
        public uint head;
        public uint tail;
        public uint magic;
        public uint compat_features;
        public uint incompat_features;
        public uint header_length;
    }
}
