"""Whole processes for stories: a simulated org and the service, started, killed and asked as an operator would."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

HOOK_SECRET = "story-hook-secret-4711"
OKTA_TOKEN = "story-okta-token-0815"
ADMIN_TOKEN = "story-admin-token-1147"
POLL_SECONDS = 0.1


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], bool], seconds: float, what: Callable[[], str] | str) -> None:
    """Poll another process until something is so; fail with `what` when it is not in time."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not true():
        told = what() if callable(what) else what
        assert time.monotonic() < end, f"not within {seconds} s: {told}"
        pause.wait(POLL_SECONDS)


class Process:
    """A child whose output is kept line by line."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=env,
            cwd=cwd,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        self.lines.extend(self._process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return "".join(list(self.lines))

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end and return the exit code."""
        code = self._process.wait(seconds)
        self._reader.join(seconds)
        assert self._process.stdout
        self._process.stdout.close()
        return code

    def terminate(self, seconds: float = 30) -> int:
        """SIGTERM, and wait."""
        if self._process.poll() is None:
            self._process.terminate()
        return self.wait(seconds)


class Org:
    """The simulated org, in a process of its own."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        common = ("--port", str(self.port), "--token", OKTA_TOKEN, "--hook-secret", HOOK_SECRET)
        self.process = Process("rosterhook.simulator", *common, *options)
        self.client = httpx2.Client(base_url=self.url, trust_env=False, timeout=30)
        wait_until(lambda: "listening" in self.process.output, 30, lambda: self.process.output)

    def ask(self, path: str, **body: Any) -> Any:
        """GET a control path, or POST a body to it."""
        answer = self.client.post(f"/_sim/{path}", json=body) if body else self.client.get(f"/_sim/{path}")
        answer.raise_for_status()
        return answer.json()

    def hears(self) -> bool:
        """The hook is verified: from now on every event is delivered."""
        answer = self.client.get("/_sim/hook")
        return answer.status_code == 200 and answer.json()["verificationStatus"] == "VERIFIED"

    def quiet(self) -> bool:
        """All changes are made and all deliveries are settled."""
        traffic = self.ask("traffic")
        return not traffic["running"] and traffic["deliveries"]["pending"] == 0

    def close(self) -> None:
        self.client.close()
        self.process.terminate()


class Service:
    """`rosterhook serve` over a folder of its own, started again as often as the story wants."""

    def __init__(self, folder: Path, org: Org | None, target: str, *, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "rosterhook.toml"
        okta = f'[okta]\norg_url = "{org.url}"\ntoken = "{OKTA_TOKEN}"\nshare = 1.0\n' if org else ""
        self.config.write_text(
            f'data_dir = "{folder / "data"}"\n'
            f'[server]\nport = {self.port}\nadmin_token = "{ADMIN_TOKEN}"\n'
            f'[hook]\nsecret = "{HOOK_SECRET}"\n{okta}'
            f'[[targets]]\nname = "app"\ntype = "sql"\n{target}\n'
        )
        self.runs: list[Process] = []

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "ROSTERHOOK_CONFIG": str(self.config)}

    @property
    def output(self) -> str:
        return "".join(run.output for run in self.runs)

    def start(self) -> None:
        self.runs.append(Process("rosterhook", "serve", env=self.env, cwd=self.folder))
        self.wait_up()

    def wait_up(self) -> None:
        """Wait until the hook's address answers and the worker has left its first note."""
        wait_until(self._is_up, 60, lambda: self.output[-3000:])

    def _is_up(self) -> bool:
        try:
            answer = httpx2.get(f"{self.url}/readyz", trust_env=False, timeout=5)
            return bool(answer.json().get("worker") == "running")
        except (httpx2.HTTPError, ValueError):
            return False

    def pid_of(self, name: str) -> int:
        """The process that the supervisor started last under this name."""
        started = [line for line in self.runs[-1].output.splitlines() if '"process.started"' in line]
        return next(told["pid"] for told in map(json.loads, reversed(started)) if told["process"] == name)

    def kill(self, name: str) -> None:
        """SIGKILL one process, or the "tree": the supervisor and both of its children."""
        if name != "tree":
            os.kill(self.pid_of(name), signal.SIGKILL)
            return
        children = [self.pid_of("web"), self.pid_of("worker")]
        kill_if_alive(self.runs[-1].pid)
        for pid in children:
            kill_if_alive(pid)
        self.runs[-1].wait()
        self.start()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the CLI with the service's configuration."""
        command = [sys.executable, "-m", "rosterhook", *arguments]
        return subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def status(self) -> dict[str, Any]:
        answer = httpx2.get(f"{self.url}/api/status", headers=self.admin, trust_env=False, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    @property
    def admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {ADMIN_TOKEN}"}

    def settled(self) -> bool:
        """Everything that arrived is taken in, read and written."""
        try:
            status = self.status()
        except httpx2.HTTPError:
            return False
        return not (
            status["deliveries"]["waiting"] or status["subjects"]["due"] or any(t["pending"] for t in status["targets"])
        )

    def stop(self) -> int:
        return self.runs[-1].terminate()


def kill_if_alive(pid: int) -> None:
    """SIGKILL a process that may have ended by itself meanwhile."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """The service, started, and stopped in order at the end."""
    service.start()
    try:
        yield service
    finally:
        service.stop()
