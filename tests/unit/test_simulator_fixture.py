"""The fixture `okta_org`: an org in a thread, for any kind of test and any HTTP client."""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import httpx2
import pytest

from rosterhook.simulator import Settings, running
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.problems import SimulatorError
from rosterhook.testing import OktaOrg, served

pytest_plugins = ["rosterhook.testing.simulator"]

TYPES_OF_NEW = ["user.lifecycle.create", "user.lifecycle.activate"]


class Receiver(http.server.BaseHTTPRequestHandler):
    """A hook's owner in the old style: blocking, with the standard library alone."""

    def do_GET(self) -> None:
        """Prove it."""
        challenge = self.headers["X-Okta-Verification-Challenge"]
        self._answer(json.dumps({"verification": challenge}).encode())

    def do_POST(self) -> None:
        """Keep it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.events += [event["eventType"] for event in body["data"]["events"]]  # type: ignore[attr-defined]
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.events = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(org: OktaOrg, path: str) -> object:
    """GET with the standard library, which knows nothing of event loops."""
    request = urllib.request.Request(f"{org.url}{path}", headers=org.headers)
    context = ssl.create_default_context(cafile=org.ca_file) if org.ca_file else None
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return json.load(answer)


def test_any_client_can_call_the_org(okta_org):
    """A plain test sees with a blocking client what it changed by the fixture's methods."""
    user = okta_org.create_user(firstName="Grace", login="grace@example.com")
    assert (user["status"], user["profile"]["email"]) == ("ACTIVE", "grace@example.com")
    okta_org.update_user(user["id"], firstName="Hopper", lastName="G", title="Admiral")
    okta_org.step(user["id"], "suspend")
    shown = ask(okta_org, "/api/v1/users/grace@example.com")
    assert (shown["status"], shown["profile"]["firstName"], shown["profile"]["title"]) == (
        "SUSPENDED",
        "Hopper",
        "Admiral",
    )
    assert okta_org.user(user["id"])["status"] == "SUSPENDED"


def test_users_without_a_profile_are_made_up(okta_org):
    """Each user who is created without attributes is another one."""
    statuses = [okta_org.create_user(**how)["status"] for how in ({}, {"password": False}, {"activate": False})]
    assert statuses == ["ACTIVE", "PROVISIONED", "STAGED"]
    assert len(okta_org.truth()["users"]) == 3


def test_leaving_takes_one_call(okta_org):
    """Deactivated users are DEPROVISIONED, deleted ones are gone at once, and unknown ones are Okta's 404."""
    first, second, third = (okta_org.create_user()["id"] for _ in range(3))
    assert okta_org.deactivate_user(first)["status"] == "DEPROVISIONED"
    for user_id in (first, second):
        okta_org.delete_user(user_id)
    truth = okta_org.truth()
    assert (truth["deleted"], [user["id"] for user in truth["users"]]) == ([first, second], [third])
    with pytest.raises(OktaError, match="E0000007"):
        okta_org.delete_user(first)


def test_users_and_groups_are_what_get_answers(okta_org):
    """What the fixture hands out is what a program reads by id at that moment, links included."""
    user = okta_org.create_user()
    assert user == okta_org.user(user["id"]) == ask(okta_org, f"/api/v1/users/{user['id']}")
    for changed in (okta_org.update_user(user["id"], title="Lead"), okta_org.step(user["id"], "suspend")):
        assert changed["_links"]["self"]["href"] == f"{okta_org.url}/api/v1/users/{user['id']}"
    assert changed == ask(okta_org, f"/api/v1/users/{user['id']}")
    group = okta_org.create_group("Sales")
    assert group == ask(okta_org, f"/api/v1/groups/{group['id']}")


def test_a_step_that_is_none_is_told_with_those_that_are(okta_org):
    """A misspelt step lists the steps; one that the status forbids is Okta's error."""
    user = okta_org.create_user()
    with pytest.raises(ValueError, match="no such step: fly; there are activate, reactivate, deactivate, "):
        okta_org.step(user["id"], "fly")
    with pytest.raises(OktaError, match="E0000001"):
        okta_org.step(user["id"], "unsuspend")


def test_groups_have_members(okta_org):
    """A group has the members that it was given, less those that were taken away."""
    group = okta_org.create_group("Sales", description="All of it")["id"]
    first, second = (okta_org.create_user()["id"] for _ in range(2))
    for user_id in (first, second):
        okta_org.add_to_group(group, user_id)
    okta_org.remove_from_group(group, first)
    members = {each["profile"]["name"]: each["members"] for each in okta_org.truth()["groups"]}
    assert members == {"Everyone": [first, second], "Sales": [second]}


def test_a_hook_hears_of_everything(okta_org, receiver):
    """A verified hook has every event when the org is quiet again."""
    okta_org.set_hook(f"http://127.0.0.1:{receiver.server_port}/okta", "a secret", batch_seconds=0.01)
    okta_org.create_user()
    tally = okta_org.wait_quiet()
    assert receiver.events == TYPES_OF_NEW
    assert tally["deliveries"]["acknowledged"] == tally["deliveries"]["sent"] > 0


def test_traffic_ends_before_quiet(okta_org, receiver):
    """`wait_quiet` waits for all random changes, and says so when they take too long."""
    okta_org.set_hook(f"http://127.0.0.1:{receiver.server_port}/okta", batch_seconds=0.01)
    okta_org.traffic(60, mix={"create": 1})
    okta_org.wait_quiet()
    assert len(okta_org.truth()["users"]) == 60
    assert receiver.events.count("user.lifecycle.create") == 60
    okta_org.traffic(0, per_second=1)
    with pytest.raises(TimeoutError, match="not quiet"):
        okta_org.wait_quiet(0)


def test_a_hook_that_proves_nothing_is_told(okta_org):
    """A hook that does not prove itself is an error with Okta's words and what came back instead."""
    told = r"POST /_sim/hook: 400 Unable to verify event hook\. Hook simulated hook execution failed: "
    with pytest.raises(ValueError, match=f"^{told}could not connect: "):
        okta_org.set_hook("http://127.0.0.1:1/nobody")
    with pytest.raises(ValueError, match=f"^{told}HTTP 404$"):
        okta_org.set_hook(f"{okta_org.url}/nothing")
    with pytest.raises(ValueError, match=r"^POST /_sim/hook: 400 url is an address that begins with http"):
        okta_org.set_hook("localhost:8080")


def test_a_path_that_is_none_is_told(okta_org):
    """Any other refusal of a control path is an error with its words."""
    with pytest.raises(ValueError, match=r"^GET /_sim/nothing: 404 Not Found$"):
        okta_org.control("GET", "nothing")


def test_faults_come_and_go(okta_org):
    """What goes wrong on purpose does so until it is cleared."""
    assert okta_org.faults(outage=True)["outage"] is True
    with pytest.raises(urllib.error.HTTPError, match="503"):
        ask(okta_org, "/api/v1/users")
    okta_org.clear_faults()
    assert ask(okta_org, "/api/v1/users") == []


async def test_an_async_test_may_wait_in_a_thread(okta_org):
    """In an async test the loop goes on while a call waits in a thread, so that it can answer the org itself."""
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b" ")[0])
        challenge = head.lower().split(b"x-okta-verification-challenge: ")[1]
        proof = head[-len(challenge) :].split(b"\r\n")[0].decode()
        body = json.dumps({"verification": proof}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        hook = await asyncio.to_thread(okta_org.set_hook, f"http://127.0.0.1:{port}/")
    assert (hook["verificationStatus"], seen) == ("VERIFIED", [b"GET"])
    async with httpx2.AsyncClient(base_url=okta_org.url, headers=okta_org.headers, trust_env=False) as client:
        assert (await client.get("/api/v1/users")).json() == []


def test_https_needs_only_its_certificate():
    """With TLS the org is https, its certificate authority is in a file, and the file goes with the org."""
    with served(Settings(tls=True, users=2)) as org:
        assert org.url.startswith("https://")
        assert len(ask(org, "/api/v1/users")) == len(org.truth()["users"]) == 2
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(org.url, timeout=10)
    assert not org.ca_file.exists()


class TestOwnSettings:
    """A class, module or conftest.py with settings of its own."""

    @pytest.fixture
    def okta_org_settings(self) -> Settings:
        return Settings(users=5, token="another")

    def test_settings_are_a_fixture(self, okta_org):
        """The org is as the fixture `okta_org_settings` says."""
        assert len(okta_org.truth()["users"]) == 5
        assert okta_org.headers == {"Authorization": "SSWS another"}


def test_a_start_that_fails_is_told_to_the_caller():
    """What stops the org from starting is raised in the test, and no thread stays."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(SimulatorError, match=f"127.0.0.1:{port}: Address already in use"),
            served(Settings(port=port)),
        ):
            pass
    assert "okta-org" not in {thread.name for thread in threading.enumerate()}


async def test_two_orgs_know_nothing_of_each_other(okta_org):
    """Orgs beside each other share nothing, whether in a thread or in the test's own loop."""
    async with running(Settings(users=1)) as other:
        okta_org.create_user()
        okta_org.create_user()
        assert (len(other.org), len(okta_org.truth()["users"])) == (1, 2)


@pytest.mark.parametrize(("wanted", "unneeded"), [("OktaOrg", {"pytest", "hypothesis"}), ("user_of", {"hypothesis"})])
def test_what_is_not_used_is_not_needed(wanted, unneeded):
    """Neither pytest nor hypothesis is imported for the org alone."""
    code = f"import sys; from rosterhook.testing import {wanted}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not unneeded & set(run.stdout.split())
