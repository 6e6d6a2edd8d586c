"""Real servers for tests: started from installed programs, on private ports, thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "pg-and-maria-secret"
START_SECONDS = 60
#: Where npm puts the fake of Okta that others wrote.
EMULATE = Path(__file__).parent / "contract" / "emulate"


def service_or_skip(name: str, *programs: str | None) -> None:
    """Skip the test when a program is missing; fail it instead when REQUIRE_SERVICES=1 (in CI)."""
    missing = [program for program in programs if not program or not shutil.which(program)]
    if not missing:
        return
    reason = f"{name} is not installed"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def postgres_program(name: str) -> str | None:
    """The newest PostgreSQL's program; Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run PostgreSQL; gives the address without a database: `postgresql://user:password@127.0.0.1:port`."""
    initdb, pg_ctl = postgres_program("initdb"), postgres_program("pg_ctl")
    service_or_skip("PostgreSQL", initdb, pg_ctl)
    with _folder("postgres") as (folder, as_user):
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data, port = folder / "data", _free_port()
        login = ["-U", "rosterhook", "-A", "scram-sha-256", f"--pwfile={secret}"]
        _run([*as_user, str(initdb), "-D", str(data), "-N", "-E", "UTF8", "--locale=C.UTF-8", *login])
        options = f"-F -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        control = [*as_user, str(pg_ctl), "-D", str(data), "-w", "-t", str(START_SECONDS)]
        _run([*control, "-l", str(data / "log"), "-o", options, "start"])
        try:
            yield f"postgresql://rosterhook:{PASSWORD}@127.0.0.1:{port}"
        finally:
            _run([*control, "-m", "immediate", "stop"])


@contextmanager
def mariadb_server() -> Iterator[str]:
    """Run MariaDB; gives the address without a database: `mysql://user:password@127.0.0.1:port`."""
    service_or_skip("MariaDB", "mariadbd", "mariadb-install-db")
    with _folder("mysql") as (folder, as_user):
        data, port = folder / "data", _free_port()
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        _run([*as_user, *install, "--auth-root-authentication-method=normal"])
        grants = folder / "grants.sql"
        grants.write_text(
            f"CREATE USER 'rosterhook'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO 'rosterhook'@'%' WITH GRANT OPTION;\n"
        )
        grants.chmod(0o644)
        serve = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={folder / 'sock'}"]
        serve += [f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", f"--init-file={grants}"]
        serve += ["--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", f"--pid-file={folder / 'data' / 'pid'}"]
        with _serving([*as_user, *serve], ready="ready for connections"):
            yield f"mysql://rosterhook:{PASSWORD}@127.0.0.1:{port}"


@contextmanager
def emulate_server() -> Iterator[str]:
    """Run emulate's fake of Okta; gives its address: `http://127.0.0.1:port`."""
    program = EMULATE / "node_modules" / "emulate" / "dist" / "index.js"
    service_or_skip("emulate (by `make services`)", "node", str(program))
    port = _free_port()
    command = ["node", "--import", str(EMULATE / "preload.mjs"), str(program), "--service", "okta", "--port", str(port)]
    with _serving(command, ready="listening"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _folder(owner: str) -> Iterator[tuple[Path, list[str]]]:
    """A folder for a server, and the prefix of commands that run as its user.

    Neither server runs as root, and their users cannot look into pytest's own folders.
    """
    with tempfile.TemporaryDirectory(prefix=f"rosterhook-{owner}-", ignore_cleanup_errors=True) as name:
        if os.geteuid() == 0:
            shutil.chown(name, owner, owner)
            Path(name).chmod(0o755)
            yield Path(name), ["runuser", "-u", owner, "--"]
        else:
            yield Path(name), []


@contextmanager
def _serving(command: list[str], *, ready: str) -> Iterator[None]:
    """Run a server from the moment that it prints `ready`."""
    process = subprocess.Popen(command, cwd="/", stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    is_up, lines = threading.Event(), []

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if ready in line:
                is_up.set()
        process.stderr.close()
        is_up.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        came = is_up.wait(START_SECONDS) and any(ready in line for line in lines)
        assert came, "the server did not start:\n" + "".join(lines[-20:])
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        reader.join(START_SECONDS)


def _run(command: list[str]) -> None:
    # A server that goes to the background would keep a pipe open: its output goes to a file.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(command, cwd="/", stdout=output, stderr=subprocess.STDOUT, check=False)
        output.seek(0)
        assert done.returncode == 0, f"{command[0]}: {output.read()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
