"""The data_dir: one process of a kind in it at a time, and none of the real service in a demo's."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from rosterhook.errors import ConfigError, StoreError
from rosterhook.private_files import give_to_owner

#: A predecessor may still be finishing its last step.
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.05


#: Marks a data_dir that a demo has made, and will empty at its next start.
DEMO_MARK = "made-by-rosterhook-demo"


def refuse_demo(data_dir: Path) -> None:
    """Keep the real service out of a folder that the next demo empties.

    Raises:
        ConfigError: a demo made it.
    """
    if (data_dir / DEMO_MARK).exists():
        raise ConfigError(
            f"{data_dir} was made by `rosterhook demo`, which empties it at its next start.",
            hint=f"Remove it (rm -r {data_dir}), or give the service another data_dir.",
        )


@asynccontextmanager
async def only_one(
    data_dir: Path, kind: str, *, hint: str = "Stop it, or give this one another data_dir."
) -> AsyncIterator[None]:
    """Hold the lock of `kind` ("web", "worker", "hook"); the system frees it when the process ends, however it ends.

    Args:
        hint: what to do when another process has it.

    Raises:
        StoreError: another process has it.
    """
    path = data_dir / f"{kind}.lock"
    with _open(path) as file:
        await _acquire(file, path, time.monotonic() + WAIT_SECONDS, hint)
        yield


def is_running(data_dir: Path, kind: str) -> bool:
    """Whether a process of this machine holds the lock of `kind`."""
    try:
        with (data_dir / f"{kind}.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("a")
        give_to_owner(file.fileno(), path.parent)
        return file
    except OSError as error:
        raise StoreError(f"Cannot use {path}: {error.strerror}.", hint="Check data_dir.") from None


async def _acquire(file: IO[str], path: Path, deadline: float, hint: str) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"Another process works with {path.parent} ({path.name} is taken).",
                    hint=hint,
                ) from None
            await asyncio.sleep(POLL_SECONDS)
        else:
            return
