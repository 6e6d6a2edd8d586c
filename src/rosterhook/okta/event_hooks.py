"""Okta's Event Hooks API: what rosterhook needs to set its own hook up and to look after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rosterhook.errors import OktaError
from rosterhook.okta.client import OktaClient

PATH = "/api/v1/eventHooks"


class EventHooks:
    """The event hooks of an org, as Okta's JSON objects. (Okta's API description, Event Hooks.)

    The list and `get` need the scope okta.eventHooks.read, all else okta.eventHooks.manage, and a super admin or a
    custom admin role for hooks. Every call raises OktaError as the client's calls do; the message has Okta's own
    words for the cause. A hook that Okta does not know is OktaNotFound.
    """

    def __init__(self, client: OktaClient) -> None:
        self._client = client

    async def list(self) -> list[dict[str, Any]]:
        """Every hook of the org."""
        return await self._client.list_all(PATH)

    async def get(self, hook_id: str) -> dict[str, Any]:
        """One hook; the secret of its channel is never in it."""
        return await self._call("GET", hook_id)

    async def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a hook: active, and not verified yet.

        Args:
            body: with `name`, `events` and `channel`.
        """
        return _object("POST", await self._client.request("POST", PATH, dict(body)))

    async def replace(self, hook_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Put another hook in its place. A changed channel has to be verified again.

        Args:
            body: all of the hook, the secret too: Okta never gives it out, so what `get` returns lacks it.
        """
        return await self._call("PUT", hook_id, body=dict(body))

    async def activate(self, hook_id: str) -> dict[str, Any]:
        """Let Okta deliver to it."""
        return await self._call("POST", hook_id, "/lifecycle/activate")

    async def deactivate(self, hook_id: str) -> dict[str, Any]:
        """Let Okta deliver nothing to it."""
        return await self._call("POST", hook_id, "/lifecycle/deactivate")

    async def verify(self, hook_id: str) -> dict[str, Any]:
        """Let Okta ask the hook's address for the one-time verification; it takes up to seven seconds.

        Raises:
            OktaError: E0000001, the address did not answer as it has to; the message tells what Okta saw.
        """
        return await self._call("POST", hook_id, "/lifecycle/verify")

    async def delete(self, hook_id: str) -> None:
        """Remove a hook, which has to be inactive."""
        await self._client.request("DELETE", _path(hook_id), about=hook_id)

    async def _call(self, method: str, hook_id: str, action: str = "", *, body: Any = None) -> dict[str, Any]:
        return _object(method, await self._client.request(method, _path(hook_id) + action, body, about=hook_id))


def _path(hook_id: str) -> str:
    return f"{PATH}/{quote(hook_id, safe='')}"


def _object(method: str, answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise OktaError(f"Okta answered {method} {PATH} with something that is no event hook.", status=200)
    return answer
