"""Files for the eyes of the service alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def replace_privately(path: Path, content: bytes) -> None:
    """Put a file in place of the last one: whole, durable, and readable by the owner of its folder alone.

    Two writers at once would take each other's draft: the caller sees to it that there is one.

    Raises:
        OSError: it could not be written; the last one is as it was.
    """
    draft = path.with_name(f".{path.name}.new")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One that a killed writer has left.
    draft.unlink(missing_ok=True)
    create_privately(draft, content)
    try:
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def create_privately(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Make a file that nobody else could read for a moment, and see its content on disk.

    Raises:
        FileExistsError: there is one.
        OSError: it could not be written; nothing is left of it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            give_to_owner(file.fileno(), path.parent)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def give_to_owner(descriptor: int, folder: Path) -> None:
    """What root makes in the folder of another user is that user's: the service could not read it otherwise."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def is_open_to_others(path: Path) -> bool:
    """Tell whether other users of this machine may read or change a file; one that is absent is open to nobody."""
    try:
        return path.stat().st_mode & 0o077 != 0
    except OSError:
        return False


def sync_folder(folder: Path) -> None:
    """See on disk what was renamed in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
