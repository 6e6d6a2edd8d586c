"""What a command loads: only what it uses, so that it starts fast. Told by the modules themselves, not by a clock."""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rosterhook.cli import COMMANDS
from rosterhook.stores import opened_stores

#: Runs the command line of its arguments, after some code of the test's, and at the end writes down what is loaded.
PROGRAM = """
import atexit, pathlib, sys
path, code, *words = sys.argv[1:]
atexit.register(lambda: pathlib.Path(path).write_text(" ".join(sys.modules)))
exec(code)
from rosterhook.cli import main
sys.argv = ["rosterhook", *words]
main()
"""
#: In place of the two processes, each time: one that finds its configuration wrong, which ends the supervisor.
PARTS_THAT_END = """
from rosterhook import service
service.part = lambda name, **_: service.Supervised(name, [sys.executable, "-c", "raise SystemExit(2)"], env={})
"""
DATABASES = {"sqlalchemy", "asyncpg", "aiosqlite", "aiomysql"}
CRYPTOGRAPHY = {"cryptography", "joserfc"}
SERVER = {"uvicorn", "starlette", "click", "prometheus_client"}
#: What no command needs that neither draws nor simulates.
NEVER = {"rich.live", "rich.progress", "rosterhook.simulator", "rosterhook.drill", "rosterhook.testing", "pytest"}
HEAVY = DATABASES | CRYPTOGRAPHY | SERVER | NEVER | {"httpx2", "apsw", "uvloop", "pydantic", "structlog", "asyncio"}
HELP = {"rosterhook", "rosterhook.cli", "rosterhook.errors"}


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended.

    Attributes:
        loaded: every module that was loaded then.
    """

    code: int
    output: str
    loaded: frozenset[str] = field(repr=False)


def run(folder: Path, *words: str, first: str = "") -> Ran:
    """Run a command to its end; its standard input is at its end already, which stops a supervised process.

    Args:
        first: code that runs before.
    """
    foreign = ("ROSTERHOOK_", "OKTA_")
    env = {key: text for key, text in os.environ.items() if not key.upper().startswith(foreign)}
    listed = folder / "loaded.txt"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(listed), first, *words],
        input="",  # a pipe that is closed at once
        capture_output=True,
        text=True,
        cwd=folder,
        env=env,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout + done.stderr, frozenset(listed.read_text().split()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the configuration of a service whose org, reached by an API token, does not answer."""
    (tmp_path / "rosterhook.toml").write_text(
        '[server]\nport = 0\n[hook]\nsecret = "a-secret-of-the-hook"\n'
        '[okta]\norg_url = "http://127.0.0.1:9"\ntoken = "a-token"\n[reconcile]\nfirst_load = false\n'
    )
    return tmp_path


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_list_of_commands_loads_no_command(tmp_path: Path, flag: str) -> None:
    """The list of commands, and the version, load of rosterhook three small modules, and nothing heavy."""
    ran = run(tmp_path, flag)
    assert ran.code == 0
    assert {name for name in ran.loaded if name.partition(".")[0] == "rosterhook"} == HELP
    assert not ran.loaded & HEAVY


def test_every_command_of_the_list_is_there() -> None:
    """The list is printed without a look at the commands, and still each of its names leads to one."""
    for place, _ in COMMANDS.values():
        module, _, name = place.partition(":")
        assert callable(getattr(importlib.import_module(f"rosterhook.cli.{module}"), name))


def test_help_of_status_loads_no_client(folder: Path) -> None:
    """`status --help` loads neither a database's libraries nor Okta's client nor a server."""
    ran = run(folder, "status", "--help")
    assert ran.code == 0
    assert not ran.loaded & (DATABASES | CRYPTOGRAPHY | SERVER | NEVER | {"httpx2", "uvloop"})


def test_status_looks_into_the_own_store_alone(folder: Path) -> None:
    """`status` loads neither a database's libraries nor Okta's client nor a server."""

    async def make_stores() -> None:
        async with opened_stores(folder / "data") as stores:
            await stores.state.read(lambda _: None)

    asyncio.run(make_stores())
    ran = run(folder, "status")
    assert ran.code == 0, ran.output
    assert not ran.loaded & (DATABASES | CRYPTOGRAPHY | SERVER | NEVER | {"httpx2", "uvloop"})


def test_supervisor_only_supervises(folder: Path) -> None:
    """`serve` reads the configuration, listens and starts processes; in its whole life it loads nothing for more."""
    ran = run(folder, "serve", first=PARTS_THAT_END)
    assert ran.code == 2
    assert ran.output.count("process.started") == 2
    theirs = {"rosterhook.web", "rosterhook.worker", "rosterhook.store.database"}
    assert not ran.loaded & (DATABASES | CRYPTOGRAPHY | SERVER | NEVER | theirs | {"httpx2", "apsw"})


def test_web_takes_hooks_without_any_targets_libraries(folder: Path) -> None:
    """`web` listens without the libraries of databases and of Okta's client: both take longer to load than it does."""
    ran = run(folder, "web", "--supervised")
    assert ran.code == 0, ran.output
    assert "web.listening" in ran.output
    theirs = {"rosterhook.worker", "rosterhook.targets.registry", "rosterhook.okta.client"}
    assert not ran.loaded & (DATABASES | CRYPTOGRAPHY | NEVER | theirs | {"httpx2"})


def test_worker_loads_no_server_and_with_a_token_no_cryptography(folder: Path) -> None:
    """`worker` serves nobody; and only a service app's login, which signs, needs cryptography."""
    ran = run(folder, "worker", "--supervised")
    assert ran.code == 0, ran.output
    assert "worker.started" in ran.output
    assert not ran.loaded & (CRYPTOGRAPHY | SERVER | NEVER | {"rosterhook.web"})


def test_check_loads_no_server_and_with_a_token_no_cryptography(folder: Path) -> None:
    """`check` asks Okta and the targets, and loads nothing to serve or to sign with."""
    ran = run(folder, "check")
    assert "okta" in ran.output
    assert ran.code == 1, ran.output
    assert not ran.loaded & (CRYPTOGRAPHY | SERVER | NEVER | {"rosterhook.web", "rosterhook.worker"})
