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
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One that a killed writer has left.
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            give_to_owner(file.fileno(), path.parent)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def give_to_owner(descriptor: int, folder: Path) -> None:
    """What root makes in the folder of another user is that user's: the service could not read it otherwise."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
