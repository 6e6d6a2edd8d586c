"""Commands in a folder of their own, as `rosterhook` runs them: with their exit code and what they print."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest
from structlog.testing import capture_logs

from rosterhook import cli, directory, worker
from rosterhook.cli import common, sweep
from rosterhook.dispatcher import Dispatcher
from rosterhook.store.database import Database
from rosterhook.testing import MemoryTarget


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    # The logging of the whole process is not the test's to change.
    monkeypatch.setattr(common, "configure_logging", lambda *_: None)
    monkeypatch.setattr(sweep, "_quiet", lambda: None, raising=False)
    monkeypatch.setattr(sweep, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.02)

    def call(*words: str) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["rosterhook", *words])
        with capture_logs(), pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return call


def write(work: Callable[[apsw.Connection], Any]) -> Any:
    """Run `work` on the store in the working directory."""

    async def whole() -> Any:
        state = Database(Path("data/state.db"), "state")
        try:
            return await state.write(work)
        finally:
            await state.close()

    return asyncio.run(whole())


def put(user_id: str, status: str = "ACTIVE", second: int = 0, now: int = 1, **profile: Any) -> None:
    """Have the directory hold a user, and the target `users` want them."""
    stamp = f"2026-01-01T00:00:{second:02}.000Z"
    shown = {"login": f"{user_id}@example.com", **profile}
    user = {"id": user_id, "status": status, "lastUpdated": stamp, "profile": shown}
    write(lambda db: directory.record(db, user, fresh=True, targets=["users"], waiting_ms=None, now=now))


def dispatch(now: int, **options: Any) -> None:
    """Deliver what may be delivered to the target `users`, into memory."""

    async def whole() -> None:
        state = Database(Path("data/state.db"), "state")
        dispatcher = Dispatcher(state, MemoryTarget("users"), 10_000, clock=lambda: now, **options)
        with capture_logs():
            while await dispatcher.step():
                pass
        await state.close()

    asyncio.run(whole())
