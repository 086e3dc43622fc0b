"""Files with secrets: read again when they change, written so that nobody ever sees half of one."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

from pitwall.keys.key import KeysError

#: The largest file that is read [bytes].
LARGEST = 1 << 20

_T = TypeVar("_T")
_Stamp = tuple[int, int, int, int]


class Watched(Generic[_T]):
    """
    What a file says, read again when the file changes.

    Args:
        path: of the file.
        parse: reads its content, or raises ``KeysError``.

    Attributes:
        value: what it said when it could be read last.

    Raises:
        KeysError: it can't be read.
    """

    def __init__(self, path: str, parse: Callable[[bytes], _T]) -> None:
        self.path = path
        self._parse = parse
        self._stamp = _stamp(path)
        self.value = parse(read(path))

    def look(self, anyway: bool = False) -> bool:
        """
        Read the file if it is another one than when it was read last; returns whether it was read.

        Args:
            anyway: read it in any case.

        Raises:
            KeysError: it can't be read, said once for each change; the value stays.
        """
        stamp = _stamp(self.path)
        if stamp == self._stamp and not anyway:
            return False
        self._stamp = stamp
        self.value = self._parse(read(self.path))
        return True


def read(path: str) -> bytes:
    """
    The content of a file.

    Raises:
        KeysError: it can't be read, or is too large.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise KeysError(f"it can't be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise KeysError(f"it has over {LARGEST} bytes")
    return content


def exposed(path: str, secret: bool = False) -> str | None:
    """
    In what way a file is open to more people than it should be; None when it is not, or is not there.

    Args:
        path: of the file.
        secret: whether its group should not read it either, unless it is root's, and who asks is not.
    """
    with suppress(OSError):
        status = os.stat(path)
        mode = status.st_mode
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            return "others may write it"
        # A file of root's can be read by its group alone, or by everyone: so Kubernetes hands over its Secrets.
        of_root = status.st_uid == 0 and os.geteuid() != 0
        if mode & (stat.S_IROTH | (stat.S_IRGRP if secret and not of_root else 0)):
            return "others may read it"
    return None


@contextmanager
def locked(path: str) -> Iterator[str]:
    """
    Keep others from changing a file; gives the path of the file itself, where the one named is a link.

    Raises:
        KeysError: its directory can't be had.
    """
    real = os.path.realpath(path)
    try:
        directory = os.open(os.path.dirname(real), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeysError(f"its directory can't be had: {error.strerror}") from None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield real
    finally:
        os.close(directory)


def replace(path: str, content: bytes) -> None:
    """
    Put a content in place of a file's, at once and for good; a new file is its owner's alone.

    Mode and owner of a file that is there stay: the server may run as somebody else than who adds keys.

    Raises:
        KeysError: it can't be written.
    """
    try:
        before = os.stat(path) if os.path.exists(path) else None
        # Made for the owner alone.
        descriptor, made = tempfile.mkstemp(prefix=".keys-", dir=os.path.dirname(path))
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                if before is not None:
                    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                        os.fchown(descriptor, before.st_uid, before.st_gid)
                    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                file.flush()
                os.fsync(descriptor)
            os.replace(made, path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise KeysError(f"it can't be written: {error.strerror}") from None


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_dev, found.st_size
