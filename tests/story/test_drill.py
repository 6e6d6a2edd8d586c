"""The drill as an operator runs it: every fault of the script in short, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rosterhook.drill.script import SCRIPT

pytestmark = [pytest.mark.story, pytest.mark.timeout(400)]

SHORT = ("--users", "120", "--changes", "600", "--rate", "100")


def drill(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`rosterhook drill`, with nothing of this shell's configuration."""
    clean = {key: value for key, value in os.environ.items() if not key.upper().startswith(("ROSTERHOOK", "OKTA"))}
    command = [sys.executable, "-m", "rosterhook", "drill", *options]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=360, check=False)


def test_every_fault_of_the_script_loses_nobody(tmp_path: Path) -> None:
    """All steps, on SQLite: nobody is lost, nobody is wrongly deleted, and the target comes up after each."""
    done = drill(tmp_path, "--json", *SHORT)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert told["passed"], done.stdout
    assert done.returncode == 0
    assert [step["step"] for step in told["steps"]] == [step.name for step in SCRIPT]
    assert [step["step"] for step in told["steps"] if step["skipped"]] == []
    assert [step["step"] for step in told["steps"] if step["converged_seconds"] is None] == []
    assert (told["total"]["lost"], told["total"]["wrongly_deleted"]) == (0, 0)
    assert told["total"]["changes"] > 600
    assert told["total"]["okta_calls_per_1000_changes"] > 0


def test_chosen_steps_keep_their_logs(tmp_path: Path) -> None:
    """`--steps` plays a part of the script, in its order; `--keep` leaves stores and logs; elsewhere than in a terminal
    each step is a line, and then comes the table.
    """
    done = drill(tmp_path, "--steps", "kills,calm", "--changes", "40", "--users", "20", "--keep", "left")
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, *table = done.stdout.splitlines()
    assert first.startswith("Nothing goes wrong: 20 changes, 0 lost, 0 wrongly deleted, converged in")
    assert second.startswith("Processes are killed: 20 changes, 0 lost, 0 wrongly deleted, converged in")
    assert [line.split()[0] for line in table] == ["Step", "calm", "kills", "total", "kills:"]
    left = tmp_path / "left"
    assert {"web.log", "worker.log", "drill.toml", "users.db", "data"} <= {path.name for path in left.iterdir()}
    assert (left / "drill.toml").stat().st_mode & 0o077 == 0
    again = drill(tmp_path, "--keep", "left")
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)


@pytest.mark.parametrize("options", [("--steps", "earthquake"), ("--changes", "3"), ("--target", "sqlite://")])
def test_nonsense_is_refused_at_once(tmp_path: Path, options: tuple[str, ...]) -> None:
    """What makes no drill is two lines and exit code 2, before anything is started."""
    done = drill(tmp_path, *options)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert not done.stdout
