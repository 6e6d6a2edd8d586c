"""Event hooks as Okta's own SDK for Python makes, verifies, replaces and deletes them, with a receiver over https."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from okta.client import Client
from okta.errors.okta_api_error import OktaAPIError
from okta.models import CreateUserRequest, EventHook, LogEvent, UserProfile
from sdk import done, lost, org, seen

from rosterhook.simulator import Simulator

TYPES = ["user.lifecycle.create", "user.account.update_profile", "user.lifecycle.delete.initiated"]
SECRET = "a secret of the receiver"


class Receiver:
    """The hook's owner behind https: proves itself unless told not to, and keeps what comes."""

    def __init__(self) -> None:
        self.url = ""
        self.proves_itself = True
        self.heads: list[str] = []
        self.deliveries: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.splitlines())}
        content = b""
        if head.startswith("POST"):
            self.deliveries.put_nowait(json.loads(await reader.readexactly(int(headers["content-length"]))))
        elif self.proves_itself:
            content = json.dumps({"verification": headers["x-okta-verification-challenge"]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))
        await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def listening(simulator: Simulator) -> AsyncIterator[Receiver]:
    """A receiver with a certificate of the org's own authority."""
    receiver = Receiver()
    assert simulator.authority is not None
    tls = simulator.authority.server_context(["localhost"])
    async with await asyncio.start_server(receiver.answer, "127.0.0.1", 0, ssl=tls) as server:
        receiver.url = f"https://localhost:{server.sockets[0].getsockname()[1]}/okta"
        yield receiver


def wanted(name: str = "Ada's hook", uri: str = "https://receiver.test/okta", **more: Any) -> EventHook:
    """A hook's body."""
    config = {
        "uri": uri,
        "headers": [{"key": "X-Other-Header", "value": "my-header-value"}],
        "authScheme": {"type": "HEADER", "key": "Authorization", "value": SECRET},
    }
    body = {
        "name": name,
        "events": {"type": "EVENT_TYPE", "items": TYPES},
        "channel": {"type": "HTTP", "version": "1.0.0", "config": config},
        **more,
    }
    hook = EventHook.from_dict(body)
    assert hook is not None
    return hook


async def state(okta: Client, hook_id: str) -> tuple[str, str]:
    """A hook's status and whether it is verified, by a read of its own."""
    hook = await done(okta.get_event_hook(hook_id))
    return hook.status, hook.verification_status.value


async def refused(call: Any) -> OktaAPIError:
    """The error with which the SDK comes back."""
    with pytest.raises(OktaAPIError) as error:
        await done(call)
    return error.value


async def create_user(okta: Client) -> str:
    """Something to tell; the new user's id."""
    profile = {"firstName": "Ольга", "lastName": "O'Connor", "email": "olga@example.com", "login": "olga@example.com"}
    body = CreateUserRequest(profile=UserProfile.from_dict(profile))
    return str((await done(okta.create_user(body, activate=False))).id)


async def test_a_new_hook_is_what_the_sdk_gets_back():
    """ACTIVE and UNVERIFIED, all that was sent but the secret, and the same in a read and in the list."""
    async with org() as (simulator, okta):
        made = await done(okta.create_event_hook(wanted(description="for tests")))
        found = await done(okta.get_event_hook(made.id))
        listed = await done(okta.list_event_hooks())
        url = simulator.url
    assert seen(made) == seen(found)
    assert [seen(hook) for hook in listed] == [seen(made)]
    assert (made.status, made.verification_status, made.description) == ("ACTIVE", "UNVERIFIED", "for tests")
    assert sorted(made.events.items) == sorted(TYPES)
    config = made.channel.config
    assert (config.uri, config.method) == ("https://receiver.test/okta", "POST")
    assert (config.auth_scheme.key, config.auth_scheme.value) == ("Authorization", None)
    assert [(header.key, header.value) for header in config.headers] == [("X-Other-Header", "my-header-value")]
    assert made.links.verify.href == f"{url}/api/v1/eventHooks/{made.id}/lifecycle/verify"


async def test_a_hook_from_verification_to_delivery():
    """verify_event_hook asks the receiver; then an event reaches it, and is what the SDK reads from the log."""
    async with org(batch_seconds=0) as (simulator, okta), listening(simulator) as receiver:
        made = await done(okta.create_event_hook(wanted(uri=receiver.url)))
        assert (await done(okta.verify_event_hook(made.id))).verification_status == "VERIFIED"
        user_id = await create_user(okta)
        delivery = await asyncio.wait_for(receiver.deliveries.get(), 10)
        [logged] = await done(okta.list_log_events(filter='eventType eq "user.lifecycle.create"'))
        url = simulator.url
    assert all(f"Authorization: {SECRET}\r\n" in head for head in receiver.heads)
    assert all("X-Other-Header: my-header-value\r\n" in head for head in receiver.heads)
    assert (delivery["eventType"], delivery["source"]) == ("com.okta.event_hook", f"{url}/api/v1/eventHooks/{made.id}")
    [told] = delivery["data"]["events"]
    event = LogEvent.from_dict(told)
    # Hooks have the way of the request below the client, the log has it beside (okta-facts 1.20).
    assert set(lost(told, seen(event))) <= {"client.ipChain"}
    assert (event.uuid, event.published, event.target) == (logged.uuid, logged.published, logged.target)
    assert [(target.type, target.id, target.alternate_id) for target in event.target] == [
        ("User", user_id, "olga@example.com")
    ]
    assert logged.debug_context.debug_data["targetEventHookIds"] == made.id


async def test_a_receiver_that_proves_nothing_leaves_the_hook_unverified():
    """400 E0000001 with Okta's cause, which names the hook; the next try may succeed."""
    async with org(hook_retry_seconds=0) as (simulator, okta), listening(simulator) as receiver:
        made = await done(okta.create_event_hook(wanted(uri=receiver.url)))
        receiver.proves_itself = False
        error = await refused(okta.verify_event_hook(made.id))
        before = await state(okta, made.id)
        receiver.proves_itself = True
        await done(okta.verify_event_hook(made.id))
        after = await state(okta, made.id)
    assert (error.status, error.error_code) == (400, "E0000001")
    assert error.error_summary == "Api validation failed: eventHook"
    assert error.error_causes == [{"errorSummary": "Unable to verify event hook. Hook Ada's hook execution failed"}]
    assert (before, after) == (("ACTIVE", "UNVERIFIED"), ("ACTIVE", "VERIFIED"))


async def test_a_replaced_channel_is_verified_again():
    """Another name keeps a hook VERIFIED; another secret does not."""
    async with org() as (simulator, okta), listening(simulator) as receiver:
        made = await done(okta.create_event_hook(wanted(uri=receiver.url)))
        await done(okta.verify_event_hook(made.id))
        named = await done(okta.replace_event_hook(made.id, wanted("Another name", receiver.url)))
        assert (named.name, named.verification_status) == ("Another name", "VERIFIED")
        changed = wanted("Another name", receiver.url)
        changed.channel.config.auth_scheme.value = "another secret"
        assert (await done(okta.replace_event_hook(made.id, changed))).verification_status == "UNVERIFIED"
        assert await state(okta, made.id) == ("ACTIVE", "UNVERIFIED")


async def test_a_hook_is_switched_off_and_on_and_deleted():
    """Deleting waits for INACTIVE, what is INACTIVE keeps its verification, and what is deleted is 404."""
    async with org() as (simulator, okta), listening(simulator) as receiver:
        made = await done(okta.create_event_hook(wanted(uri=receiver.url)))
        await done(okta.verify_event_hook(made.id))
        assert (await refused(okta.delete_event_hook(made.id))).status == 403
        await done(okta.deactivate_event_hook(made.id))
        assert await state(okta, made.id) == ("INACTIVE", "VERIFIED")
        await done(okta.activate_event_hook(made.id))
        assert await state(okta, made.id) == ("ACTIVE", "VERIFIED")
        await done(okta.deactivate_event_hook(made.id))
        await done(okta.delete_event_hook(made.id))
        gone = await refused(okta.get_event_hook(made.id))
        assert await done(okta.list_event_hooks()) == []
    assert (gone.status, gone.error_code) == (404, "E0000007")
    assert gone.error_summary == f"Not found: Resource not found: {made.id} (Webhook)"


async def test_a_filter_lets_through_what_it_says():
    """The SDK's filter arrives, comes back, and only the event that it lets through is delivered."""
    name = "user.lifecycle.create"
    condition = {"expression": "event.target.?[alternateId eq 'olga@example.com'].size()>0", "version": None}
    filters = {"type": "EXPRESSION_LANGUAGE", "eventFilterMap": [{"event": name, "condition": condition}]}
    events = {"type": "EVENT_TYPE", "items": [name], "filter": filters}
    async with org(batch_seconds=0) as (simulator, okta), listening(simulator) as receiver:
        made = await done(okta.create_event_hook(wanted(uri=receiver.url, events=events)))
        await done(okta.verify_event_hook(made.id))
        simulator.create_users(1)
        user_id = await create_user(okta)
        delivery = await asyncio.wait_for(receiver.deliveries.get(), 10)
    assert seen(made.events.filter) == seen(filters)
    assert [target["id"] for event in delivery["data"]["events"] for target in event["target"]] == [user_id]
    assert receiver.deliveries.empty()


async def test_what_okta_does_not_take_is_refused():
    """An http address, an event type that hooks are not offered, a name too long: 400 E0000001 with a cause."""
    mistakes = (
        {"uri": "http://receiver.test/okta"},
        {"events": {"type": "EVENT_TYPE", "items": ["user.account.expire_password"]}},
        {"name": "n" * 256},
    )
    async with org() as (_, okta):
        errors = [await refused(okta.create_event_hook(wanted(**mistake))) for mistake in mistakes]
        assert await done(okta.list_event_hooks()) == []
    assert [(error.status, error.error_code) for error in errors] == [(400, "E0000001")] * 3
    assert all(error.error_causes for error in errors)


async def test_a_name_is_taken_only_once():
    """Another hook of the same name is refused."""
    async with org() as (_, okta):
        await done(okta.create_event_hook(wanted()))
        error = await refused(okta.create_event_hook(wanted()))
    assert (error.status, error.error_code) == (400, "E0000001")
