"""Memory that worker processes open by a path, and that nothing leaves behind."""

from __future__ import annotations

import os


def shared_file(name: str, size: int) -> int:
    """
    A file in memory without a place in the file system; takes memory only where it is written.

    Args:
        name: shown in ``/proc/PID/fd`` alone.
        size: [bytes].

    Returns:
        Its descriptor. Where the kernel refuses an anonymous file, it is an
        unlinked one in ``/dev/shm``.
    """
    try:
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    except OSError:
        fd = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    os.ftruncate(fd, size)
    return fd


def shared_path(fd: int) -> str:
    """The path under which a worker opens it, by the number this process has now (a daemon has forked)."""
    return f"/proc/{os.getpid()}/fd/{fd}"
