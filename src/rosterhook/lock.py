"""One process of a kind for each data_dir."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rosterhook.errors import StoreError

#: A predecessor may still be finishing its last step.
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.05


@contextmanager
def only_one(data_dir: Path, kind: str) -> Iterator[None]:
    """Hold the lock of `kind` ("web", "worker"); the system frees it when the process ends, however it ends.

    Raises:
        StoreError: another process has it.
    """
    path = data_dir / f"{kind}.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise StoreError(f"Cannot use {path}: {error.strerror}.", hint="Check data_dir.") from None
    with file:
        _acquire(file, path, time.monotonic() + WAIT_SECONDS)
        yield


def _acquire(file: IO[str], path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"Another process works with {path.parent} ({path.name} is taken).",
                    hint="Stop it, or give this one another data_dir.",
                ) from None
            time.sleep(POLL_SECONDS)
        else:
            return
