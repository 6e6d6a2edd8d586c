"""The service: runs the web and the worker process, and restarts the one that dies."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import structlog
import uvloop

from rosterhook.retry import backoff_ms

#: A process that lived this long starts its next backoff from the beginning.
HEALTHY_SECONDS = 30.0
#: How long a process may take to finish what it has begun.
DRAIN_SECONDS = 20.0
#: The exit code for a wrong configuration: starting again would not help.
EXIT_CONFIG = 2
EXIT_NOT_STARTED = 71

log = structlog.get_logger("rosterhook.service")


def run_until_signal(main: Callable[[asyncio.Event], Awaitable[None]], *, watch_stdin: bool = False) -> None:
    """Run `main` on uvloop; SIGTERM and SIGINT set the event that tells it to end.

    Args:
        watch_stdin: also end when standard input closes: the supervisor, which holds its other end, has died.
    """

    async def watched() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if watch_stdin:
            loop.add_reader(sys.stdin.fileno(), _at_its_end, loop, stop)
        await main(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(watched())


def _at_its_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    loop.remove_reader(sys.stdin.fileno())
    stop.set()


class Supervised:
    """A process that is started again when it dies, after a growing wait.

    Args:
        name: for the log.
        command: program and arguments. Its standard input is a pipe: when that closes, it shall end.
        inherit: file descriptors that it gets beside, under the same numbers.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stderr: IO[str] | None = None,
        inherit: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._command = command
        self._env = env
        self._cwd = cwd
        self._stderr = stderr
        self._inherit = tuple(inherit)
        self._failures = 0

    async def run(self, stop: asyncio.Event) -> int:
        """Keep it running until `stop` is set or its configuration is wrong; return its last exit code."""
        code = 0
        while not stop.is_set():
            started = time.monotonic()
            code = await self._run_once(stop)
            if stop.is_set() or code == EXIT_CONFIG:
                # A signal that came before the process could handle it has ended it as well.
                return 0 if code == -signal.SIGTERM else code
            self._failures = 1 if time.monotonic() - started > HEALTHY_SECONDS else self._failures + 1
            wait_ms = backoff_ms(self._failures, base_ms=200, cap_ms=30_000)
            log.error("process.died", process=self.name, exit_code=code, restart_in_ms=wait_ms)
            await wait_for(stop, wait_ms / 1000)
        return code

    async def _run_once(self, stop: asyncio.Event) -> int:
        try:
            process = await self._start()
        except OSError as error:
            log.error("process.not_started", process=self.name, reason=error.strerror)
            return EXIT_NOT_STARTED
        log.info("process.started", process=self.name, pid=process.pid)
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            await self._end(process, ended)
        code = await ended
        if process.stdin is not None:
            process.stdin.close()  # the pipe outlives the process, and the transport with it
        return code

    async def _start(self) -> asyncio.subprocess.Process:
        # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which ends all in order.
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stderr=self._stderr,
            env=self._env,
            cwd=self._cwd,
            pass_fds=self._inherit,
            start_new_session=True,
        )

    async def _end(self, process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
        process.terminate()
        await asyncio.wait([ended], timeout=DRAIN_SECONDS)
        if not ended.done():
            log.error("process.killed", process=self.name, after_seconds=DRAIN_SECONDS)
            process.kill()


async def wait_for(stop: asyncio.Event, seconds: float) -> None:
    """Wait until `stop` is set, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def supervise(processes: Sequence[Supervised], stop: asyncio.Event, listener: socket.socket | None = None) -> int:
    """Run all until `stop`, or until one gives up; return the first exit code that is not 0.

    Args:
        listener: what the web process listens on. It is closed as soon as the end begins: nobody waits in its queue
            for a process that will not come.
    """
    tasks = [asyncio.create_task(process.run(stop)) for process in processes]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    if listener is not None:
        listener.close()
    codes = await asyncio.gather(*tasks)
    return next((code for code in codes if code), 0)


def part(
    name: str,
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stderr: IO[str] | None = None,
    listener: socket.socket | None = None,
) -> Supervised:
    """The process `rosterhook web` or `rosterhook worker`.

    Args:
        listener: what web shall listen on. The supervisor keeps it open: who calls while web starts again waits in its
            queue for a second or two, and is not refused.
    """
    command = [sys.executable, "-m", "rosterhook", name, "--supervised"]
    if listener is None:
        return Supervised(name, command, env=env, cwd=cwd, stderr=stderr)
    fd = listener.fileno()
    return Supervised(name, [*command, f"--listen-fd={fd}"], env=env, cwd=cwd, stderr=stderr, inherit=(fd,))
