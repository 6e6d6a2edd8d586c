"""Every row of the receiver's table: which request gets which answer, and what is stored for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rosterhook import receiver as receiver_module
from rosterhook.config import HookConfig
from rosterhook.errors import StoreError
from rosterhook.hook_secrets import HookSecrets
from rosterhook.model import Delivery
from rosterhook.receiver import Receiver

SECRET = "s3cret-of-the-hook"
#: No record of rotations is there.
NOWHERE = Path("/nonexistent")
CHALLENGE = ("x-okta-verification-challenge", "abc-123")


class ListInbox:
    """An inbox in memory that can fail or hang."""

    def __init__(self) -> None:
        self.stored: list[Delivery] = []
        self.error: Exception | None = None
        self.hang = False

    async def append(self, delivery: Delivery) -> None:
        if self.hang:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        self.stored.append(delivery)

    async def read(self, after: int, limit: int) -> list[Delivery]:
        return self.stored[after : after + limit]

    async def prune(self, up_to: int, received_before: int) -> int:
        return 0


@pytest.fixture
def inbox() -> ListInbox:
    return ListInbox()


async def inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"inner"})


async def ask(
    inbox: ListInbox,
    method: str = "POST",
    path: str = "/okta/events",
    headers: list[tuple[str, str]] | None = None,
    body: bytes | list[bytes] | AsyncIterator[dict[str, Any]] = b"{}",
    **options: Any,
) -> tuple[int, bytes, dict[str, str]]:
    """Send one request straight into the ASGI callable; return status, body and headers."""
    config = HookConfig(secret=SECRET, **options)
    receiver = Receiver(config, HookSecrets(config, NOWHERE), inbox, inner, clock=lambda: 42)
    headers = [("authorization", SECRET)] if headers is None else headers
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    messages = _messages(body) if isinstance(body, bytes | list) else body

    async def receive() -> dict[str, Any]:
        return await anext(messages)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    await receiver({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)
    if not sent:
        return 0, b"", {}
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], sent[1]["body"], answered


async def _messages(body: bytes | list[bytes]) -> AsyncIterator[dict[str, Any]]:
    parts = [body] if isinstance(body, bytes) else body
    for number, part in enumerate(parts):
        yield {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}


async def test_right_secret_is_stored_then_answered_200_without_a_body(inbox: ListInbox) -> None:
    """A POST with the right secret is stored whole and answered 200 with an empty body."""
    headers = [("authorization", SECRET), ("content-type", "application/json"), ("x-okta-request-id", "r1"), ("x", "y")]
    assert (await ask(inbox, headers=headers, body=[b'{"a"', b": 1}"]))[:2] == (200, b"")
    kept = {"content-type": "application/json", "x-okta-request-id": "r1"}
    assert inbox.stored == [Delivery(42, kept, b'{"a": 1}')]


@pytest.mark.parametrize("path", ["/okta/events", "/okta/events/", "/userTransfer", "/userTransfer/"])
async def test_both_paths_work_with_and_without_a_slash(inbox: ListInbox, path: str) -> None:
    """The configured path and the tutorial's take deliveries; nothing is ever redirected."""
    assert (await ask(inbox, path=path))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", SECRET[:-1])],
        [("authorization", SECRET + " ")],
        [("authorization", SECRET.upper())],
        [("authorization", "Bearer " + SECRET)],
        [("authorization", SECRET), ("authorization", SECRET)],
        [("authorization", SECRET), ("authorization", "wrong")],
        [("authorization", "s\xe9cret")],
        [("x-other", SECRET)],
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_wrong_missing_or_doubled_secret_is_401(inbox: ListInbox, headers: Any, method: str) -> None:
    """A secret that is not exactly there once is answered 401, for the verification too, and nothing is stored."""
    status, body, _ = await ask(inbox, method, headers=[*headers, CHALLENGE])
    assert status == 401
    assert SECRET.encode() not in body
    assert inbox.stored == []


async def test_two_secrets_are_valid_during_a_rotation(inbox: ListInbox) -> None:
    """With `secrets`, the old and the new one both work."""
    for secret in (SECRET, "new-one", "newer-one"):
        headers = [("authorization", secret)]
        assert (await ask(inbox, headers=headers, secrets=("new-one", "newer-one")))[0] == 200


async def test_secret_may_come_in_another_header(inbox: ListInbox) -> None:
    """`hook.header` names the header, whatever its case."""
    assert (await ask(inbox, headers=[("X-Hook-Key", SECRET)], header="x-hook-KEY"))[0] == 200
    assert (await ask(inbox, header="x-hook-key"))[0] == 401


async def test_verification_gives_back_the_challenge(inbox: ListInbox) -> None:
    """Okta's verification GET is answered 200 with its challenge as JSON."""
    value = 'a"b\\c<\xe9>'
    headers = [("authorization", SECRET), (CHALLENGE[0], value)]
    status, body, answered = await ask(inbox, "GET", headers=headers)
    assert status == 200
    assert json.loads(body) == {"verification": value}
    assert answered["content-type"] == "application/json"
    assert inbox.stored == []


async def test_get_without_a_challenge_says_what_is_missing(inbox: ListInbox) -> None:
    """A GET that is no verification is answered 400 and told what is missing."""
    status, body, _ = await ask(inbox, "GET")
    assert status == 400
    assert b"x-okta-verification-challenge" in body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_405(inbox: ListInbox, method: str) -> None:
    """Other methods are answered 405."""
    status, _, answered = await ask(inbox, method)
    assert (status, answered["allow"]) == (405, "GET, POST")


async def test_other_paths_go_to_the_application(inbox: ListInbox) -> None:
    """A path that is not the hook's is the application's business."""
    for path in ("/", "/okta", "/okta/events/x", "/usertransfer", "//okta/events"):
        assert (await ask(inbox, path=path))[:2] == (404, b"inner")


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe", b"[" * 100_000, b"null"])
async def test_what_is_no_event_hook_is_stored_all_the_same(inbox: ListInbox, body: bytes) -> None:
    """Whatever the body is, with the right secret it is stored and answered 200: understanding comes later."""
    assert (await ask(inbox, body=body, headers=[("authorization", SECRET), ("content-type", "text/plain")]))[0] == 200
    assert inbox.stored[0].body == body


@pytest.mark.parametrize("declared", [True, False])
async def test_body_over_the_cap_is_413_and_leaves_a_mark(inbox: ListInbox, declared: bool) -> None:
    """A body over the cap is answered 413, declared or not; the inbox gets a mark of it, for somebody to see."""
    headers = [("authorization", SECRET)] + ([("content-length", "3000")] if declared else [])
    status, _, answered = await ask(inbox, headers=headers, body=[b"x" * 1000] * 3, max_body_bytes=2000)
    assert (status, answered["connection"]) == (413, "close")
    assert inbox.stored == [Delivery(42, {}, b"", "too_large")]


async def test_body_of_exactly_the_cap_is_taken(inbox: ListInbox) -> None:
    """The cap itself is still allowed."""
    assert (await ask(inbox, body=b"x" * 2000, max_body_bytes=2000))[0] == 200


async def test_store_that_fails_is_503(inbox: ListInbox) -> None:
    """When the store cannot be written, Okta is told 503, which it retries, and never a 4xx, which it does not."""
    inbox.error = StoreError("disk full")
    assert (await ask(inbox))[0] == 503


async def test_commit_that_takes_too_long_is_503(inbox: ListInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a commit in time the answer is 503, before Okta's own 3 seconds are over."""
    assert receiver_module.ANSWER_SECONDS < 3
    monkeypatch.setattr(receiver_module, "ANSWER_SECONDS", 0.01)
    inbox.hang = True
    assert (await ask(inbox))[0] == 503


async def test_body_that_never_ends_is_503(inbox: ListInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that stops in the middle of its body is answered 503 after a while, and nothing is stored."""
    monkeypatch.setattr(receiver_module, "ANSWER_SECONDS", 0.01)

    async def slow() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.Event().wait()

    assert (await ask(inbox, body=slow()))[0] == 503
    assert inbox.stored == []


async def test_sender_that_goes_away_stores_nothing(inbox: ListInbox) -> None:
    """A connection that breaks before the body is complete leaves nothing, and nobody is answered."""

    async def broken() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": b"{", "more_body": True}
        yield {"type": "http.disconnect"}

    assert (await ask(inbox, body=broken()))[0] == 0
    assert inbox.stored == []


async def test_open_hook_takes_deliveries_without_a_secret(inbox: ListInbox) -> None:
    """The demo alone runs without a secret."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    messages = _messages(b"{}")
    receiver = Receiver(HookConfig(), None, inbox, inner)
    scope = {"type": "http", "method": "POST", "path": "/okta/events", "headers": []}
    await receiver(scope, lambda: anext(messages), send)
    assert sent[0]["status"] == 200


@pytest.mark.parametrize(
    ("agent", "counted"),
    [("Okta Hook Service v1.0.0 - who1", 1), ("Okta-Integrations", 1), ("curl/8.0", 0), (None, 0)],
)
async def test_refused_calls_of_okta_are_counted(inbox: ListInbox, agent: str | None, counted: int) -> None:
    """A wrong secret of Okta's is a fault of the setup, which the commands tell; a stranger's knock is none."""
    config = HookConfig(secret=SECRET)
    receiver = Receiver(config, HookSecrets(config, NOWHERE), inbox, inner, clock=lambda: 42)
    headers = [(b"authorization", b"wrong"), *([(b"user-agent", agent.encode())] if agent else [])]

    async def send(_message: Any) -> None:
        return

    messages = _messages(b"{}")
    scope = {"type": "http", "method": "POST", "path": "/okta/events", "headers": headers}
    await receiver(scope, lambda: anext(messages), send)
    assert receiver.refused == ((1, 42) if counted else (0, 0))
