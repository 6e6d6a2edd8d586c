"""The servers that are compared: rosterhook, and what others would write for the same requests."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

from bench.bodies import PATH, SECRET
from bench.processes import ROOT, BenchError, Started, configure, part, process, program

TUTORIAL = ROOT / "bench" / "peers" / "tutorial"
READY = r"listening on (\S+)"

#: Gets a folder of its own, and what else the environment shall have.
Start = Callable[[Path, Mapping[str, str]], AbstractContextManager[Started]]


@dataclass(frozen=True, slots=True)
class Server:
    """A server.

    Attributes:
        name: in the names of figures; `title` in words.
        path: where it takes deliveries.
        file: its database, in its folder; "" when it keeps nothing.
        kept: SQL for the id of the user of every event that it has kept.
    """

    name: str
    title: str
    start: Start
    path: str = PATH
    file: str = ""
    kept: str = ""

    def kept_users(self, folder: Path) -> set[str]:
        """Of all events that it has kept, the users. It must have ended."""
        # For writing too: what an earlier process left in the WAL, or half done in the journal, is seen to first.
        with closing(sqlite3.connect(folder / self.file)) as db:
            return {user for (user,) in db.execute(self.kept)}


def _rosterhook(folder: Path, extra: Mapping[str, str]) -> AbstractContextManager[Started]:
    return part("web", configure(folder), extra)


def _ceiling(folder: Path, extra: Mapping[str, str]) -> AbstractContextManager[Started]:
    return process(["bench.bare"], folder, READY, extra)


def _tutorial(folder: Path, extra: Mapping[str, str]) -> AbstractContextManager[Started]:
    return _express(folder, [], extra)


def _durable_tutorial(folder: Path, extra: Mapping[str, str]) -> AbstractContextManager[Started]:
    return _express(folder, ["durable"], extra)


def _express(folder: Path, form: list[str], extra: Mapping[str, str]) -> AbstractContextManager[Started]:
    command = ["node", str(TUTORIAL / "app.js"), str(folder / "users.db"), *form]
    # Without it, Express writes out each error with its trace.
    return program(command, folder, READY, {"SECRET": SECRET, "NODE_ENV": "production", **extra})


def _fastapi(folder: Path, extra: Mapping[str, str]) -> AbstractContextManager[Started]:
    return process(["bench.peers.fastapi_receiver", str(folder / "events.db")], folder, READY, extra)


ROSTERHOOK = Server(
    "rosterhook",
    "rosterhook",
    _rosterhook,
    file="data/inbox.db",
    kept="SELECT json_extract(CAST(body AS TEXT), '$.data.events[0].target[0].id') FROM delivery",
)
CEILING = Server("ceiling", "a bare server that stores nothing", _ceiling)
#: It answers before it stores, and is slow all the same: sqlite3 frees each statement on Node's main thread, which
#: waits there for the lock of the database, and so for the fsyncs of whichever insert runs.
AS_WRITTEN = Server(
    "tutorial",
    "Okta's tutorial",
    _tutorial,
    path="/userTransfer",
    file="users.db",
    kept="SELECT userID FROM users",
)
DURABLE = Server(
    "tutorial-durable",
    "Okta's tutorial, durable",
    _durable_tutorial,
    path="/userTransfer",
    file="users.db",
    kept="SELECT userID FROM users",
)
FASTAPI = Server(
    "fastapi",
    "FastAPI",
    _fastapi,
    file="events.db",
    kept="SELECT user_id FROM events",
)


def has_tutorial() -> bool:
    """Tell whether what the tutorial's app needs is installed."""
    return shutil.which("node") is not None and (TUTORIAL / "node_modules" / "sqlite3").is_dir()


def need_tutorial() -> None:
    """Raise when it is not.

    Raises:
        BenchError: with what to do.
    """
    if not has_tutorial():
        raise BenchError("the tutorial's app is not installed: run make bench-peers")
