"""A wall clock that the drill can put wrong, in processes that are none of its own: an offset in a shared file."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from rosterhook.model import Clock, now_ms

#: Milliseconds, native: read and written in one piece.
_OFFSET = struct.Struct("@q")


class Offset:
    """How far the clock of web and worker is ahead.

    Args:
        path: the file that they share; it is made.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(_OFFSET.pack(0))
        self._shared = _mapped(path, mmap.ACCESS_WRITE)

    def jump_to(self, ahead_ms: int) -> None:
        """From now on the clock is ahead by so much; behind, when it is negative."""
        _OFFSET.pack_into(self._shared, 0, ahead_ms)


def shifted(path: Path) -> Clock:
    """The clock that is wrong by what the file says at that moment."""
    shared = _mapped(path, mmap.ACCESS_READ)
    return lambda: now_ms() + int(_OFFSET.unpack_from(shared, 0)[0])


def _mapped(path: Path, access: int) -> mmap.mmap:
    with path.open("r+b" if access == mmap.ACCESS_WRITE else "rb") as file:
        return mmap.mmap(file.fileno(), _OFFSET.size, access=access)
