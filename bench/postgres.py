"""A PostgreSQL server of the benchmark's own, from installed programs, as PostgreSQL is by default: fsync and all."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from bench.processes import BenchError

USER = "postgres"
PASSWORD = "secret-of-the-benchmark"
START_SECONDS = 60


def is_installed() -> bool:
    """Whether there is a server to start."""
    return _program("initdb") is not None and _program("pg_ctl") is not None


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run a server in a folder; gives the address of an empty database.

    Raises:
        BenchError: it does not start.
    """
    as_user = _owned(folder)
    data, port = folder / "data", _free_port()
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    login = ["-U", "bench", "-A", "scram-sha-256", f"--pwfile={secret}"]
    _run([*as_user, str(_program("initdb")), "-D", str(data), "-E", "UTF8", "--locale=C.UTF-8", *login])
    control = [*as_user, str(_program("pg_ctl")), "-D", str(data), "-w", "-t", str(START_SECONDS)]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    _run([*control, "-l", str(data / "log"), "-o", options, "start"])
    try:
        yield f"postgresql://bench:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        _run([*control, "-m", "immediate", "stop"])


def value(url: str, query: str) -> str:
    """The first value of the first row."""

    async def ask() -> str:
        connection = await asyncpg.connect(url)
        try:
            return str(await connection.fetchval(query))
        finally:
            await connection.close()

    return asyncio.run(ask())


def _program(name: str) -> str | None:
    """The newest PostgreSQL's program; Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


def _owned(folder: Path) -> list[str]:
    """Make the folder for the server, which refuses to run as root; return the prefix of its user's commands."""
    folder.mkdir(parents=True)
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, USER, USER)
    # The folder of the benchmark, and that of its part, are closed to all others.
    for above in folder.parents[:2]:
        above.chmod(above.stat().st_mode | 0o011)
    return ["runuser", "-u", USER, "--"]


def _run(command: list[str]) -> None:
    # To a file: a server that goes to the background would keep a pipe open.
    log = Path(command[command.index("-D") + 1]).parent / "commands.log"
    with log.open("a") as output:
        done = subprocess.run(command, cwd="/", stdout=output, stderr=output, timeout=2 * START_SECONDS, check=False)
    if done.returncode:
        raise BenchError(f"PostgreSQL: {log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
