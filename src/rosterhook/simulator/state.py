"""The org in a file, so that it is the same after a restart.

The file is JSON and holds secrets. It is replaced as a whole: at the start, at most once a second while something
changes, and at the end. So a killed simulator forgets about its last second, and what it has written is never torn.
What was on its way to a hook is forgotten too, as it would be by Okta.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import functools
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from rosterhook.simulator.files import replace_file
from rosterhook.simulator.problems import SimulatorError
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.world import Simulator

FORMAT, VERSION = "rosterhook-simulator", 1
SECONDS_BETWEEN_WRITES = 1.0
#: A big org takes long to write: at most a fifth of the time is spent on it.
REST_AFTER_WRITE = 4.0
#: How far apart the seeds of two starts are.
_NEXT_SEED = 1_000_000_007
#: Down to this depth a document is written piece by piece, so that no step holds up the org for long.
_PIECES = 5

log = logging.getLogger(__name__)


class Part(Protocol):
    """A part of the org that survives.

    What `dump` returns can be written as JSON, and no later change reaches into it: it is compared with the last one,
    and written in a thread.
    """

    def dump(self) -> dict[str, Any]:
        """All that shall survive."""

    def load(self, held: dict[str, Any]) -> None:
        """Be what `dump` returned once."""


def parts_of(simulator: Simulator) -> dict[str, Part]:
    """What survives, by its name in the file."""
    return {
        "numbers": simulator.numbers,
        "org": simulator.org,
        "log": simulator.log,
        "hooks": simulator.hooks,
        "access": simulator.access,
    }


class Memory:
    """An org's file, which this process alone writes."""

    def __init__(self, path: Path, held: dict[str, Any] | None) -> None:
        self.path = path
        self._held = held
        self._written: dict[str, Any] = {}
        self._head: dict[str, Any] = {}
        self._one_at_a_time = asyncio.Lock()
        self._failing = False

    def adapted(self, settings: Settings) -> Settings:
        """The settings for an org that goes on: nobody is created, and new ids come from other dice than the old."""
        head = self._held or {"seed": settings.seed, "starts": 0}
        self._head = {"format": FORMAT, "version": VERSION, "seed": head["seed"], "starts": head["starts"] + 1}
        if self._held is None:
            return settings
        seed = head["seed"] + head["starts"] * _NEXT_SEED
        return replace(settings, seed=seed, users=0, announce=False, test_user=False)

    def recall(self, simulator: Simulator) -> None:
        """Make the org what the file says.

        Raises:
            SimulatorError: a part of the file is not as this version writes it.
        """
        if self._held is None:
            return
        for name, part in parts_of(simulator).items():
            try:
                part.load(self._held["parts"][name])
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise _useless(self.path, f"its part {name!r} is damaged ({type(error).__name__})") from None
        self._held = None

    @contextlib.asynccontextmanager
    async def kept(self, simulator: Simulator) -> AsyncIterator[None]:
        """Write now, from time to time, and at the end.

        Raises:
            SimulatorError: the first or the last time, it could not be written.
        """
        await self.save(simulator)
        simulator.save = functools.partial(self.save, simulator)
        end = asyncio.Event()
        task = asyncio.create_task(self._save_regularly(simulator, end))
        try:
            yield
        finally:
            end.set()
            await task
            await self.save(simulator)

    async def save(self, simulator: Simulator) -> None:
        """Have all that is so now on disk, unless it is there already.

        Raises:
            SimulatorError: it could not be written; the file is as it was.
        """
        async with self._one_at_a_time:
            parts = {name: part.dump() for name, part in parts_of(simulator).items()}
            if parts == self._written:
                return
            try:
                await asyncio.to_thread(replace_file, self.path, _pieces({**self._head, "parts": parts}, _PIECES))
            except OSError as error:
                raise SimulatorError(f"cannot write {self.path}: {error.strerror}") from None
            self._written = parts

    async def _save_regularly(self, simulator: Simulator, end: asyncio.Event) -> None:
        rest = SECONDS_BETWEEN_WRITES
        while not await _within(rest, end):
            start = time.monotonic()
            try:
                await self.save(simulator)
                self._failing = False
            except SimulatorError as error:
                if not self._failing:
                    log.warning("%s; trying again", error)
                self._failing = True
            rest = max(SECONDS_BETWEEN_WRITES, REST_AFTER_WRITE * (time.monotonic() - start))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Memory]:
    """The file, for this process alone, whether it exists yet or not.

    Raises:
        SimulatorError: it cannot be used; it is left as it is.
    """
    path = path.resolve()
    with _lock(path):
        yield Memory(path, _read(path))


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    # A lock file of its own: the file itself is another one after each write.
    lock = path.with_name(f"{path.name}.lock")
    handle = _locked(path, lock)
    try:
        yield
    finally:
        # While it is still ours, and only if it is a lock file: one that holds something is somebody else's.
        with contextlib.suppress(OSError):
            if not os.fstat(handle).st_size:
                lock.unlink()
        os.close(handle)


def _locked(path: Path, lock: Path) -> int:
    """The open lock file."""
    while True:
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            handle = os.open(lock, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise SimulatorError(f"cannot use {path}: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), lock.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise SimulatorError(f"another simulator has {path}: stop it, or name another --state") from None
        except FileNotFoundError:
            pass
        # Its last owner has removed it since: whoever comes next would lock another one.
        os.close(handle)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        held = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SimulatorError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _useless(path, "it is not JSON") from None
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise _useless(path, "it is not the state of a simulator")
    if held.get("version") != VERSION:
        raise _useless(path, f"it is of version {held.get('version')!r}, and this simulator writes version {VERSION}")
    if not {"seed", "starts", "parts"} <= set(held):
        raise _useless(path, "it is damaged")
    return held


def _useless(path: Path, why: str) -> SimulatorError:
    return SimulatorError(f"cannot use {path}: {why}. It is left as it is; name another --state, or remove it")


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """The value as JSON, in pieces."""
    if not depth or not value or not isinstance(value, dict | list):
        yield json.dumps(value)
        return
    before, end = "{}" if isinstance(value, dict) else "[]"
    for each in value:
        key, child = (f"{json.dumps(each)}: ", value[each]) if isinstance(value, dict) else ("", each)
        yield f"{before}\n{key}"
        yield from _pieces(child, depth - 1)
        before = ","
    yield end
