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
#: For stories of single events: nobody comes who was not told of.
FIRST_LOAD_OFF = "[reconcile]\nfirst_load = false\n"
SECRET_LINE = b"Authorization: " + HOOK_SECRET.encode()
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

    def __init__(
        self, folder: Path, org: Org | None, target: str, *, port: int | None = None, more: str = FIRST_LOAD_OFF
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "rosterhook.toml"
        okta = f'[okta]\norg_url = "{org.url}"\ntoken = "{OKTA_TOKEN}"\nshare = 1.0\n' if org else ""
        self.config.write_text(
            f'data_dir = "{folder / "data"}"\n'
            f'[server]\nport = {self.port}\nadmin_token = "{ADMIN_TOKEN}"\n'
            f'[hook]\nsecret = "{HOOK_SECRET}"\n{okta}{more}'
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


def post(service: Service, body: bytes, path: str = "/okta/events", secret: str = HOOK_SECRET) -> httpx2.Response:
    return httpx2.post(
        f"{service.url}{path}", content=body, headers={"Authorization": secret}, trust_env=False, timeout=20
    )


def event_for(user_id: str, uuid: str, event_type: str = "user.account.update_profile") -> bytes:
    target = [{"id": user_id, "type": "User", "alternateId": "someone@example.com", "displayName": "Some One"}]
    event = {"uuid": uuid, "eventType": event_type, "published": "2026-01-01T00:00:00.000Z", "target": target}
    return json.dumps({"eventType": "com.okta.event_hook", "data": {"events": [event]}}).encode()


def settled(service: Service, deliveries: int) -> dict[str, Any]:
    """Wait until so many deliveries have arrived and all is done; return the status."""

    def done() -> bool:
        return bool(service.status()["deliveries"]["received"] >= deliveries and service.settled())

    wait_until(done, 30, lambda: f"{service.status()} {service.output[-2000:]}")
    return service.status()


def raw(service: Service, *parts: bytes, then: int | None = None) -> bytes:
    """Send bytes as they are; before the last part, optionally signal the supervisor. Return the answer."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        for part in parts[:-1]:
            connection.sendall(part)
        if then is not None:
            os.kill(service.runs[-1].pid, then)
            wait_until(lambda: not listens(service), 10, "the port to be closed")
        connection.sendall(parts[-1])
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
            if b"\r\n\r\n" in answer and b"content-length: 0" in answer.lower():
                break
        return answer


def listens(service: Service) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", service.port)) == 0


def request(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /okta/events HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def cli(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, with nothing of this shell's configuration."""
    clean = {key: value for key, value in os.environ.items() if not key.upper().startswith(("ROSTERHOOK", "OKTA"))}
    return subprocess.run(
        [sys.executable, "-m", "rosterhook", *arguments],
        cwd=folder, env={**clean, **env}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
