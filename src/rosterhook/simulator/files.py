"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

#: For what everybody may read, such as a certificate.
PUBLIC = 0o644


def replace_file(path: Path, pieces: Iterable[str], mode: int = 0o600) -> None:
    """Put a file there: whoever looks, or dies, finds the old one or the new one.

    Args:
        mode: who may read it; its owner alone.

    Raises:
        OSError: it could not be written; the old one stays.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, mode)
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Without it the file is on disk, but not yet its name.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
