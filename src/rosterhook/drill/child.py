"""A process of the service under drill: started again when it dies, killed and kept from writing when the script says.

Not `service.Supervised`: there a process that dies often is started later and later, and here dying is the point.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

#: As a supervisor waits after the first death.
RESTART_SECONDS = 0.2
DRAIN_SECONDS = 20.0
CHUNK = 65536

#: Whether another process can be kept from writing files (Linux).
CAN_LIMIT = hasattr(resource, "prlimit")


class Child:
    """One process.

    Args:
        name: for messages, and of its log file.
        command: program and arguments; its standard input is a pipe, and when that closes it shall end.
        log: what gets its standard error. By way of a pipe, so that its log is no file that it writes.
        inherit: file descriptors that it gets beside, under the same numbers.

    Attributes:
        deaths: how often it ended though nobody had asked for that.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        inherit: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self.deaths = 0
        self._command = command
        self._env = env
        self._cwd = cwd
        self._inherit = tuple(inherit)
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._expected = False
        self._most_bytes: int | None = None

    def start(self) -> None:
        """Run it from now on."""
        self._stopping.clear()
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End it in order, as a supervisor does. Safe to repeat."""
        if self._keeping is None:
            return
        self._stopping.set()
        with contextlib.suppress(ProcessLookupError):
            if self._process is not None:
                self._process.terminate()
        _, late = await asyncio.wait([self._keeping], timeout=DRAIN_SECONDS)
        if late:
            self.kill()
            await self._keeping
        self._keeping = None

    def kill(self) -> bool:
        """SIGKILL; tell whether there was anything to kill."""
        if self._process is None or self._process.returncode is not None:
            return False
        self._expected = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        return True

    def limit_files(self, most_bytes: int | None) -> None:
        """Fail every write behind this place in a file, as on a full disk, of successors too; None lifts it."""
        self._most_bytes = most_bytes
        if self._process is not None and self._process.returncode is None:
            self._limit(self._process.pid)

    def _limit(self, pid: int) -> None:
        usual, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        soft = usual if self._most_bytes is None else self._most_bytes
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            self._process = process = await self._spawn()
            if self._most_bytes is not None:
                self._limit(process.pid)
            if self._stopping.is_set():
                process.terminate()
            await self._drain(process)
            await process.wait()
            if process.stdin is not None:
                process.stdin.close()  # the pipe outlives the process, and the transport with it
            self.deaths += not (self._stopping.is_set() or self._expected)
            self._expected = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESTART_SECONDS):
                    await self._stopping.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        # A session of its own: Ctrl-C in the terminal reaches the drill alone, which ends all in order.
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._env,
            cwd=self._cwd,
            pass_fds=self._inherit,
            start_new_session=True,
        )

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101 - for the type checker
        with self.log.open("ab", buffering=0) as file:
            while chunk := await process.stderr.read(CHUNK):
                file.write(chunk)
