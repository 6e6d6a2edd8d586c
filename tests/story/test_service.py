"""The service as its operator meets it: started, asked, mistreated, ended."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest
from harness import (
    ADMIN_TOKEN,
    HOOK_SECRET,
    OKTA_TOKEN,
    SECRET_LINE,
    Org,
    Process,
    Service,
    cli,
    event_for,
    free_port,
    post,
    raw,
    request,
    running,
    settled,
    wait_until,
)

pytestmark = [pytest.mark.story, pytest.mark.timeout(180)]


def test_event_becomes_a_row_and_every_command_tells_it(service: Service, org: Org) -> None:
    """From the hook to the row: `status`, `users`, `events`, `parked` and `replay` all speak of it."""
    user = org.ask("truth")["users"][0]
    assert post(service, event_for(user["id"], "e-1")).status_code == 200
    assert post(service, event_for(user["id"], "e-1"), "/userTransfer").status_code == 200
    assert post(service, b"not a hook").status_code == 200
    settled(service, 3)
    status = json.loads(service.command("status", "--json").stdout)
    assert status["deliveries"] == {"received": 3, "waiting": 0, "quarantined": 1}
    assert status["events"] == {"stored": 1, "duplicates": 1}
    assert status["targets"] == [{"name": "app", "in_sync": 1, "pending": 0, "parked": 0, "held": 0, "error": ""}]
    assert status["okta"]["mode"] == "token"
    assert status["lag_seconds"]["p99"] > 0
    [held] = json.loads(service.command("users", "--json").stdout)
    assert held["profile"] == {key: value for key, value in user["profile"].items() if value is not None}
    [event] = json.loads(service.command("events", "--json").stdout)
    assert (event["uuid"], event["users"], event["arrivals"]) == ("e-1", [user["id"]], {"hook": 2, "log": 0})
    parked = json.loads(service.command("parked", "--json").stdout)
    assert [one["body"] for one in parked["deliveries"]] == ["not a hook"]
    assert service.command("parked", "--delivery", "1").stdout == "not a hook\n"
    rows = httpx2.get(f"{service.url}/getUsers", headers=service.admin, trust_env=False).json()
    assert [row["id"] for row in rows] == [user["id"]]
    for command in ("status", "users", "events", "parked"):
        done = service.command(command)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
    dry = service.command("replay", user["id"], "--quarantined", "--dry-run")
    assert dry.stdout.splitlines() == [
        "1 user would be read from Okta again, 1 would be written again.",
        "0 deliveries would leave the quarantine, 1 still is no event hook.",
    ]
    assert service.command("replay", "--all").stdout == (
        "0 users will be read from Okta again, 1 will be written again.\n"
    )


def test_unknown_user_of_an_event_is_gone(service: Service) -> None:
    """A user whose deletion is told, and whom Okta does not know by id, leaves a tombstone, and no row."""
    post(service, event_for("00uNobodyAtAll", "e-2", "user.lifecycle.delete.initiated"))
    status = settled(service, 1)
    assert status["users"] == {"active": 0, "total": 0, "deleted": 1}


def test_verification_over_the_wire(service: Service) -> None:
    """Okta's verification works on both paths, with the secret alone."""
    for path in ("/okta/events", "/userTransfer"):
        headers = {"Authorization": HOOK_SECRET, "X-Okta-Verification-Challenge": "abc"}
        answer = httpx2.get(f"{service.url}{path}", headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()) == (200, {"verification": "abc"})
        headers.pop("Authorization")
        assert httpx2.get(f"{service.url}{path}", headers=headers, trust_env=False).status_code == 401


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", [SECRET_LINE], b"200"),
        (b"\xff\xfe\x00", [SECRET_LINE, b"Content-Type: image/png"], b"200"),
        (b"[" * 100_000, [SECRET_LINE], b"200"),
        (b"x", [SECRET_LINE, SECRET_LINE], b"401"),
        (b"x", [], b"401"),
        (b"x" * 10_000_000, [SECRET_LINE], b"413"),
    ],
    ids=["empty", "not-utf8", "deep", "doubled-secret", "no-secret", "10MB"],
)
def test_bad_input_over_the_wire(service: Service, body: bytes, headers: list[bytes], status: bytes) -> None:
    """Each bad request gets its answer from the real server, and the service still takes the next delivery."""
    try:
        answer = raw(service, request(body, *headers), body)
    except (BrokenPipeError, ConnectionResetError):
        assert status in {b"401", b"413"}  # the server has answered and hung up before everything was sent
    else:
        assert answer.startswith(b"HTTP/1.1 " + status)
    assert post(service, event_for("00uNobody", "e-3", "user.lifecycle.delete.initiated")).status_code == 200
    quarantined = settled(service, 1)["deliveries"]["quarantined"]
    assert quarantined == (status in {b"200", b"413"})


def test_okta_outage_loses_nobody(service: Service, org: Org) -> None:
    """While Okta answers 503 everybody waits and the status says why; afterwards everybody is read."""
    user = org.ask("truth")["users"][1]
    org.ask("faults", outage=True)
    try:
        post(service, event_for(user["id"], "e-6"))
        wait_until(lambda: bool(service.status()["okta"]["error"]), 30, lambda: str(service.status()))
        assert service.status()["subjects"]["due"] == 1
    finally:
        org.ask("faults", outage=False)
    assert settled(service, 1)["users"]["active"] == 1


def test_events_follow_prints_each_as_it_comes(service: Service) -> None:
    """`events --follow --json` prints a line for each event, those of before and those to come."""
    post(service, event_for("00uA", "f-1", "user.lifecycle.delete.initiated"))
    settled(service, 1)
    follower = Process("rosterhook", "events", "--follow", "--json", env=service.env, cwd=service.folder)
    try:
        wait_until(lambda: "f-1" in follower.output, 30, lambda: follower.output)
        post(service, event_for("00uB", "f-2", "user.lifecycle.delete.initiated"))
        wait_until(lambda: "f-2" in follower.output, 30, lambda: follower.output)
    finally:
        follower._process.send_signal(signal.SIGINT)
        code = follower.wait()
    assert code == 130
    assert [json.loads(line)["uuid"] for line in follower.lines] == ["f-1", "f-2"]


def test_no_output_ever_holds_a_secret(tmp_path: Path, org: Org) -> None:
    """A whole run at debug level, with failures and wrong secrets in it, prints no secret anywhere."""
    secrets = [HOOK_SECRET, OKTA_TOKEN, ADMIN_TOKEN, "database-password-99"]
    target = 'url = "postgresql://me:database-password-99@127.0.0.1:1/none"'
    service = Service(tmp_path, org, target)
    service.config.write_text(service.config.read_text() + '[log]\nlevel = "debug"\n')
    with running(service):
        post(service, event_for(org.ask("truth")["users"][2]["id"], "e-7"))
        post(service, b"x", secret="wrong-secret")
        httpx2.get(f"{service.url}/?token={ADMIN_TOKEN}", trust_env=False)
        httpx2.get(f"{service.url}/?token=wrong", trust_env=False)
        wait_until(lambda: bool(service.status()["targets"][0]["error"]), 30, lambda: str(service.status()))
        printed = [service.command(*words) for words in (["status"], ["status", "--json"], ["check"], ["parked"])]
        pages = [
            httpx2.get(service.url + path, headers=service.admin, trust_env=False).text
            for path in ("/", "/getUsers", "/api/status", "/metrics", "/readyz")
        ]
    everything = service.output + "".join(done.stdout + done.stderr for done in printed) + "".join(pages)
    assert "loop.failed" in everything
    assert [secret for secret in secrets if secret in everything] == []
    assert "Traceback" not in "".join(done.stdout + done.stderr for done in printed)


def test_without_a_token_users_are_made_of_events(tmp_path: Path) -> None:
    """Without Okta's credentials the row comes from the event, as in the tutorial, and the status says so."""
    service = Service(tmp_path, None, f'url = "sqlite:///{tmp_path / "users.db"}"')
    with running(service):
        post(service, event_for("00uX", "e-8", "user.lifecycle.suspend"))
        status = settled(service, 1)
        rows = httpx2.get(f"{service.url}/getUsers", headers=service.admin, trust_env=False).json()
    assert status["okta"]["mode"] == "events"
    assert "okta.not_asked" in service.output
    assert [(row["id"], row["email"], row["status"]) for row in rows] == [("00uX", "someone@example.com", "SUSPENDED")]


@pytest.mark.parametrize("command", ["serve", "web"])
def test_no_secret_no_start(tmp_path: Path, command: str) -> None:
    """Without a hook secret nothing starts: two lines that say what to set, exit code 2."""
    done = cli(tmp_path, command, ROSTERHOOK_SERVER__PORT=str(free_port()))
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "rosterhook: hook.secret is not set: anybody could send events."
    assert "hook.secret_file" in done.stderr
    assert not (tmp_path / "data" / "inbox.db").exists()


def test_demos_folder_is_not_for_the_service(tmp_path: Path) -> None:
    """The service does not start in a folder that the next demo empties, and a demo empties none but its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "made-by-rosterhook-demo").touch()
    port = str(free_port())
    for command in ("serve", "web", "worker"):
        done = cli(tmp_path, command, ROSTERHOOK_HOOK__SECRET="s", ROSTERHOOK_SERVER__PORT=port)
        assert done.returncode == 2
        assert "was made by `rosterhook demo`" in done.stderr
    (folder / "precious.txt").touch()
    done = cli(tmp_path, "demo", "--port", str(free_port()), "--seconds", "1")
    assert done.returncode == 2
    assert "precious.txt, which no demo has made" in done.stderr
    assert (folder / "precious.txt").exists()


def test_demo_syncs_its_users(tmp_path: Path) -> None:
    """The demo shows the tutorial's Test User first and more users after, and ends by itself cleanly."""
    port = str(free_port())
    for _ in range(2):
        done = cli(tmp_path, "demo", "--port", port, "--users", "30", "--seconds", "8")
        assert (done.returncode, done.stderr) == (0, "")
        database = sqlite3.connect(tmp_path / "data" / "users.db")
        rows = database.execute("SELECT * FROM Users ORDER BY id").fetchall()
        database.close()
        assert rows[0] == (1, "Test", "User", "testuser@doesnotexit.com", "111-222-3333", "1234")
        assert len(rows) >= 25


def test_taken_port_is_told(tmp_path: Path) -> None:
    """A port that somebody else has is named with a cure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = cli(tmp_path, "web", ROSTERHOOK_HOOK__SECRET="s", ROSTERHOOK_SERVER__PORT=port)
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_before_the_first_start_say_what_to_do(tmp_path: Path) -> None:
    """Without a store, the commands that look into it point at `serve`."""
    for command in ("status", "users", "events", "parked", "replay"):
        done = cli(tmp_path, command, *(["--all"] if command == "replay" else []))
        assert done.returncode == 1
        assert "rosterhook serve" in done.stderr
        assert "Traceback" not in done.stderr


def test_tutorials_env_is_enough(tmp_path: Path, org: Org) -> None:
    """A folder with the tutorial's `.env` and a hook secret runs: a user of an event becomes a row."""
    port = free_port()
    (tmp_path / ".env").write_text(
        f"okta_url={org.url}\nokta_key={OKTA_TOKEN}\nROSTERHOOK_HOOK__SECRET={HOOK_SECRET}\n"
        f"ROSTERHOOK_SERVER__PORT={port}\nROSTERHOOK_RECONCILE__FIRST_LOAD=false\nFOREIGN=1\n"
    )
    user = org.ask("truth")["users"][0]
    serving = Process("rosterhook", "serve", cwd=tmp_path)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: '"web.listening"' in serving.output, 30, lambda: serving.output)
        body, headers = event_for(user["id"], "e-9"), {"Authorization": HOOK_SECRET}
        assert httpx2.post(f"{url}/userTransfer", content=body, headers=headers, trust_env=False).status_code == 200
        token = (tmp_path / "data" / "admin-token").read_text().strip()
        assert f"{url}/?token={token}" in serving.output

        def rows() -> Any:
            bearer = {"Authorization": f"Bearer {token}"}
            return httpx2.get(f"{url}/getUsers", headers=bearer, trust_env=False).json()

        wait_until(lambda: len(rows()) == 1, 30, lambda: serving.output)
        assert rows()[0]["email"] == user["profile"]["email"]
    finally:
        assert serving.terminate() == 0


def test_check_tells_point_by_point(tmp_path: Path, org: Org) -> None:
    """`check` passes when all is right, and names what is wrong, with its cure, when not."""
    service = Service(tmp_path, org, f'url = "sqlite:///{tmp_path / "users.db"}"')
    good = service.command("check")
    assert good.returncode == 0, good.stdout
    points = [line.split("  ")[0] for line in good.stdout.splitlines() if not line.startswith(" ")]
    assert points == ["✓ hook", "✓ data_dir", "✓ okta", "✓ clock", "✓ system log", "! hook in okta", "✓ target app"]
    assert not (tmp_path / "users.db").exists()
    service.config.write_text(service.config.read_text().replace(OKTA_TOKEN, "wrong-token"))
    bad = service.command("check")
    assert bad.returncode == 1
    assert "✗ okta" in bad.stdout
    assert "token" in bad.stdout
    assert "wrong-token" not in bad.stdout + bad.stderr


def test_another_org_in_the_same_folder_is_refused(service: Service, org: Org) -> None:
    """A data_dir of one org is not used for another: all its users would be read as gone."""
    service.stop()
    text = service.config.read_text()
    service.config.write_text(text.replace(org.url, org.url.replace("127.0.0.1", "localhost")))
    done = service.command("worker")
    assert done.returncode == 2
    assert "data_dir holds the users of" in done.stderr
    service.config.write_text(text)
    service.start()
