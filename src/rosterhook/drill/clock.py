"""The wall clock of a drill: time can pass on it without waiting, and in web and worker it can be put wrong."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from rosterhook.model import Clock, now_ms

#: Milliseconds, native: read and written in one piece.
_OFFSET = struct.Struct("@q")


class DrillClock:
    """The right time, and an offset in a file that tells web and worker what time they shall believe it is.

    Args:
        path: the file that they share; it is made.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(_OFFSET.pack(0))
        self._shared = _mapped(path, mmap.ACCESS_WRITE)
        self._passed_ms = 0
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """The right time."""
        return now_ms() + self._passed_ms

    def let_pass(self, ms: int) -> None:
        """It is so much later now, for everybody."""
        self._passed_ms += ms
        self._tell()

    def jump_to(self, ahead_ms: int) -> None:
        """From now on web and worker are ahead of the right time by so much; behind, when it is negative."""
        self._ahead_ms = ahead_ms
        self._tell()

    def _tell(self) -> None:
        _OFFSET.pack_into(self._shared, 0, self._passed_ms + self._ahead_ms)


def shifted(path: Path) -> Clock:
    """The clock that is wrong by what the file says at that moment."""
    shared = _mapped(path, mmap.ACCESS_READ)
    return lambda: now_ms() + int(_OFFSET.unpack_from(shared, 0)[0])


def _mapped(path: Path, access: int) -> mmap.mmap:
    with path.open("r+b" if access == mmap.ACCESS_WRITE else "rb") as file:
        return mmap.mmap(file.fileno(), _OFFSET.size, access=access)
