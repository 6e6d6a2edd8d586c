"""The supervisor: who is started again, who is not, and what it returns."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from rosterhook import service
from rosterhook.service import Supervised, supervise

SLEEP = "import sys; sys.stdin.read()"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "backoff_ms", lambda *_, **__: 1)


def child(name: str, code: str) -> Supervised:
    return Supervised(name, [sys.executable, "-c", code], env=dict(os.environ))


def counting(path: Path, code: int) -> str:
    """A program that leaves a mark at each start, and at the fourth one stays."""
    return (
        f"import sys, pathlib\np = pathlib.Path({str(path)!r})\nn = len(p.read_text()) if p.exists() else 0\n"
        f"p.write_text('x' * (n + 1))\nif n < 3: sys.exit({code})\n{SLEEP}"
    )


def written(path: Path) -> int:
    return len(path.read_text()) if path.exists() else 0


async def until_written(path: Path, length: int) -> None:
    """Wait for another process, which has no other way to tell."""
    for _ in range(3000):
        if written(path) >= length:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} has {written(path)} marks, not {length}")


@pytest.mark.parametrize("code", [0, 1, 71])
async def test_process_that_ends_is_started_again(tmp_path: Path, code: int) -> None:
    """However a process ends, it is started again until the service itself shall end; that is a good end."""
    stop = asyncio.Event()
    running = asyncio.create_task(supervise([child("a", counting(tmp_path / "a", code)), child("b", SLEEP)], stop))
    await until_written(tmp_path / "a", 4)
    stop.set()
    assert await running == 0


async def test_wrong_configuration_ends_everything(tmp_path: Path) -> None:
    """A process that ends with exit code 2 is not tried again: the service ends with it."""
    assert await supervise([child("a", "import sys; sys.exit(2)"), child("b", SLEEP)], asyncio.Event()) == 2


async def test_failing_fork_is_a_death_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system cannot start a process for a moment, the others live on and it is tried again."""
    real, tries = Supervised._start, []

    async def start(self: Supervised) -> asyncio.subprocess.Process:
        tries.append(self.name)
        if len(tries) == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return await real(self)

    monkeypatch.setattr(Supervised, "_start", start)
    stop = asyncio.Event()
    running = asyncio.create_task(supervise([child("a", counting(tmp_path / "a", 1))], stop))
    await until_written(tmp_path / "a", 4)
    stop.set()
    assert await running == 0
