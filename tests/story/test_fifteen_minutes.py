"""From nothing to rows: an org that demands a service app with DPoP, the real proxies, the real commands."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from harness import OKTA_TOKEN, Process, free_port, wait_until
from proxies import block, caddy, nginx

from rosterhook.okta.events import NEEDED
from servers import service_or_skip

pytestmark = [pytest.mark.story, pytest.mark.timeout(300)]

CLIENT_ID = "0oastory0000000001"
SCOPES = "okta.users.read okta.users.manage okta.eventHooks.read okta.eventHooks.manage"
MIX = {"create": 8, "update": 50, "suspend": 6, "unsuspend": 6, "deactivate": 4, "delete": 4, "set_password": 5}


class Newcomer:
    """Somebody with an org, a database and a terminal. Nothing is configured but by the commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.org_port = free_port()
        self.org_url = f"https://127.0.0.1:{self.org_port}"
        self.ca_file = folder / "ca.pem"
        self.key_file = folder / "app-key.pem"
        self.env = {
            **os.environ,
            "ROSTERHOOK_SERVER__PORT": str(self.port),
            "ROSTERHOOK_OKTA__CA_FILE": str(self.ca_file),
            "ROSTERHOOK_OKTA__SHARE": "1.0",
            "PYTHONUNBUFFERED": "1",
        }
        self._make_key()

    def _make_key(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
        self.key_file.chmod(0o600)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        (self.folder / "public.pem").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))

    @contextmanager
    def org(self, *options: str) -> Iterator[httpx2.Client]:
        """The org, over TLS; a client of its super admin."""
        process = Process(
            "rosterhook.simulator", "--port", str(self.org_port), "--token", OKTA_TOKEN,
            "--tls", "--ca-file", str(self.ca_file), "--issue-cert", "localhost", str(self.folder / "certificate"),
            "--hook-ca", str(self.ca_file), "--client-id", CLIENT_ID, "--app-key", str(self.folder / "public.pem"),
            "--scopes", SCOPES, "--dpop", "--rate-multiplier", "100", *options,
        )  # fmt: skip
        try:
            wait_until(lambda: "listening" in process.output, 30, lambda: process.output)
            headers = {"Authorization": f"SSWS {OKTA_TOKEN}"}
            with httpx2.Client(
                base_url=self.org_url, headers=headers, verify=_trusting(self.ca_file), trust_env=False, timeout=30
            ) as client:
                yield client
        finally:
            process.terminate()

    def certificate(self) -> tuple[Path, Path]:
        """Certificate and key of the proxy."""
        (certificate,) = (self.folder / "certificate").glob("*.pem")
        (key,) = (self.folder / "certificate").glob("*.key")
        return certificate, key

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        command = [sys.executable, "-m", "rosterhook", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=90, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def init(self, hook_port: int, target: str) -> subprocess.CompletedProcess[str]:
        """The five answers, as options."""
        (self.folder / "database").write_text(target)
        return self.run(
            "init", "--yes", "--org-url", self.org_url, "--client-id", CLIENT_ID, "--private-key-file",
            str(self.key_file), "--hook-url", f"https://localhost:{hook_port}/okta/events",
            "--target-file", "database",
        )  # fmt: skip

    def hold_nothing(self) -> None:
        """Random traffic removes more than an org of people does."""
        with (self.folder / "rosterhook.toml").open("a") as file:
            file.write("hold_percent = 100\n")

    @contextmanager
    def serving(self) -> Iterator[Process]:
        """`rosterhook serve`, up."""
        process = Process("rosterhook", "serve", env=self.env, cwd=self.folder)
        try:
            wait_until(self._is_up, 60, lambda: process.output[-3000:])
            yield process
        finally:
            process.terminate()

    def _is_up(self) -> bool:
        try:
            answer = httpx2.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False, timeout=5)
            return bool(answer.json().get("worker") == "running")
        except (httpx2.HTTPError, ValueError):
            return False

    def status(self) -> dict[str, Any]:
        """`rosterhook status --json`."""
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found

    def settled(self) -> bool:
        """Everything that arrived is written."""
        status = self.status()
        pending = sum(target["pending"] for target in status["targets"])
        return not (status["deliveries"]["waiting"] or status["subjects"]["due"] or pending)


def _trusting(ca_file: Path) -> Any:
    return ssl.create_default_context(cafile=str(ca_file))


def new_user(org: httpx2.Client, login: str) -> str:
    """An active user; the id."""
    profile = {"firstName": "Can", "lastName": "Ary", "email": login, "login": login}
    body = {"profile": profile, "credentials": {"password": {"value": "Correct-horse-4711"}}}
    answer = org.post("/api/v1/users?activate=true", json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


def logged(org: httpx2.Client) -> set[str]:
    """The uuids of all events that the hook is subscribed to, by the System Log."""
    wanted = " or ".join(f'eventType eq "{each}"' for each in NEEDED)
    url: str | None = str(httpx2.URL("/api/v1/logs", params={"filter": wanted, "limit": "1000"}))
    found: set[str] = set()
    while url:
        answer = org.get(url)
        answer.raise_for_status()
        if not answer.json():
            break
        found |= {event["uuid"] for event in answer.json()}
        url = answer.links["next"]["url"]
    return found


def quiet(org: httpx2.Client) -> bool:
    """All changes are made and every delivery is settled."""
    traffic = org.get("/_sim/traffic").json()
    return not traffic["running"] and traffic["deliveries"]["pending"] == 0


async def rows(url: str) -> dict[str, Any]:
    """The users table: id -> e-mail."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch("SELECT id, email, status FROM users")
    finally:
        await connection.close()
    return {row["id"]: (row["email"], row["status"]) for row in found}


@pytest.mark.parametrize("proxy", [caddy, nginx], ids=["caddy", "nginx"])
async def test_newcomer_gets_to_a_row_in_postgresql(tmp_path: Path, postgres_url: str, proxy: Any) -> None:
    """docs/quickstart.md, step by step: init, check, the service behind the page's own proxy, the hook, a row."""
    newcomer = Newcomer(tmp_path)
    with newcomer.org() as org:
        new_user(org, "canary@example.com")
        with proxy(tmp_path, newcomer.port, *newcomer.certificate()) as hook_port:
            made = newcomer.init(hook_port, postgres_url)
            assert made.returncode == 0, made.stderr
            before = newcomer.run("check")
            assert "rosterhook hook create" in before.stdout, before.stdout + before.stderr
            with newcomer.serving():
                created = newcomer.run("hook", "create", "--canary", "canary@example.com", "--wait", "30")
                assert created.returncode == 0, created.stdout + created.stderr
                assert "A delivery of this hook has arrived." in created.stdout
                checked = newcomer.run("check")
                assert checked.returncode == 0, checked.stdout + checked.stderr
                user_id = new_user(org, "first@example.com")
                wait_until(lambda: quiet(org) and newcomer.settled(), 60, "the row")
                assert (await rows(postgres_url))[user_id] == ("first@example.com", "ACTIVE")
                stood = newcomer.run("hook", "status")
                assert stood.returncode == 0, stood.stdout
                assert "Its address answers with the secret in force." in stood.stdout
            down = newcomer.run("check")
            assert down.returncode == 1
            assert "✗ public address  The proxy answers 502" in down.stdout


async def test_no_event_is_lost_while_the_secret_is_rotated(tmp_path: Path, postgres_url: str) -> None:
    """Under traffic a rotation is killed twice, and ended by a third run: each event arrives, none is refused."""
    newcomer = Newcomer(tmp_path)
    with newcomer.org("--users", "200") as org, nginx(tmp_path, newcomer.port, *newcomer.certificate()) as hook_port:
        new_user(org, "canary@example.com")
        assert newcomer.init(hook_port, postgres_url).returncode == 0
        newcomer.hold_nothing()
        with newcomer.serving():
            created = newcomer.run("hook", "create", "--canary", "canary@example.com", "--wait", "30")
            assert created.returncode == 0, created.stdout + created.stderr
            before = logged(org)
            org.post("/_sim/traffic", json={"changes": 0, "per_second": 60, "seed": 3, "mix": MIX}).raise_for_status()
            for said in ("✓ Make a new secret", "✓ Have Okta verify the second hook"):
                killed_after(newcomer, said)
            ended = newcomer.run("hook", "rotate", "--drain", "2", "--wait", "60")
            assert ended.returncode == 0, ended.stdout + ended.stderr
            org.delete("/_sim/traffic").raise_for_status()
            wait_until(lambda: quiet(org) and newcomer.settled(), 120, lambda: str(newcomer.status()))
            deliveries = org.get("/_sim/traffic").json()["deliveries"]
            assert (deliveries["refused"], deliveries["lost"]) == (0, 0)
            happened = logged(org) - before
            stored = json.loads(newcomer.run("events", "--json", "--limit", "100000").stdout)
            assert len(happened) > 100
            assert happened - {event["uuid"] for event in stored} == set()
            assert newcomer.run("hook", "status").returncode == 0
            truth = {user["id"]: user for user in org.get("/_sim/truth").json()["users"]}
            written = await rows(postgres_url)
            assert {key: value for key, value in written.items() if key in truth} == {
                key: (truth[key]["profile"]["email"], truth[key]["status"]) for key in written if key in truth
            }


def killed_after(newcomer: Newcomer, said: str) -> None:
    """SIGKILL a rotation the moment it has said this."""
    command = [sys.executable, "-m", "rosterhook", "hook", "rotate", "--drain", "2", "--wait", "60"]
    heard = []
    with subprocess.Popen(
        command, cwd=newcomer.folder, env=newcomer.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            heard.append(line)
            if said in line:
                process.kill()
    assert process.returncode == -signal.SIGKILL, "".join(heard)


def test_unit_of_the_page_is_valid(tmp_path: Path) -> None:
    """systemd accepts the unit of the page."""
    service_or_skip("systemd", "systemd-analyze")
    unit = tmp_path / "rosterhook.service"
    program = tmp_path / "rosterhook"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit.write_text(block("ini").replace("/opt/rosterhook/.venv/bin/rosterhook", str(program)))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "rosterhook.service" not in checked.stderr, checked.stderr
