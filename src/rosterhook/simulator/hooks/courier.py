"""The requests that Okta sends to the owner of an event hook: the one-time proof, and one attempt to deliver."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx2

from rosterhook.simulator.events import Event, instant, new_id, new_uuid
from rosterhook.simulator.hooks.model import Channel, Hook
from rosterhook.simulator.problems import SimulatorError
from rosterhook.simulator.settings import Settings


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: None when nothing came.
        why: the reason of a failure, empty for a success.
    """

    status: int | None
    why: str

    @property
    def verdict(self) -> str:
        """Which count of a `Tally` it belongs to: 200 and 204 are success, only a 5xx or no answer is tried again."""
        if not self.why:
            return "acknowledged"
        return "lost" if self.status is None or self.status >= 500 else "refused"


class Courier:
    """Knows how to reach every hook.

    Attributes:
        org_url: how deliveries name the org that they come from.

    Raises:
        SimulatorError: the settings' CA file cannot be used.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float], transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.org_url = f"https://{settings.org_host}"
        self._rng = Random(f"{settings.seed}/delivery")  # noqa: S311
        self._trusted = _trust(settings.hook_ca_file)
        # A connection kept longer than the receiver keeps it would break under the next delivery.
        self._client = httpx2.AsyncClient(
            transport=transport,
            limits=httpx2.Limits(max_keepalive_connections=settings.parallel_deliveries, keepalive_expiry=2.0),
            timeout=settings.hook_timeout_seconds,
            trust_env=False,
            follow_redirects=False,
            verify=self._trusted,
        )

    def trust(self, certificate: str) -> None:
        """Accept what this certificate authority, as PEM, has signed too."""
        self._trusted.load_verify_locations(cadata=certificate)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def doubt(self, channel: Channel) -> str:
        """Why the owner has not proved itself; empty if it has.

        It is to echo a challenge, and is asked once more when the first try fails (okta-facts 1.14).
        """
        challenge = new_id(self._rng, "", 40)
        return await self._ask(channel, challenge) and await self._ask(channel, challenge)

    async def post(self, hook: Hook, body: bytes) -> Answer:
        """One attempt."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"Okta Hook Service v1.0.0 - {hook.id}",
            **hook.channel.own_headers(),
        }
        try:
            response = await self._bounded("POST", hook.channel.uri, headers, body)
        except TimeoutError:
            return Answer(None, "timed out")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return Answer(None, "timed out" if isinstance(error, httpx2.TimeoutException) else "could not connect")
        status = response.status_code
        return Answer(status, "" if status in {200, 204} else f"HTTP {status}")

    def envelope(self, hook: Hook, events: list[Event]) -> dict[str, Any]:
        """Made once per delivery: a retry repeats the `eventId` (inferred, okta-facts 1.5)."""
        return {
            "eventType": "com.okta.event_hook",
            "eventTypeVersion": "1.0",
            "cloudEventsVersion": "0.1",
            "source": f"{self.org_url}/api/v1/eventHooks/{hook.id}",
            "eventId": new_uuid(self._rng),
            "data": {"events": events},
            "eventTime": instant(self._clock()),
            "contentType": "application/json",
        }

    async def _ask(self, channel: Channel, challenge: str) -> str:
        headers = {
            "Accept": "application/json",
            "User-Agent": "Okta-Integrations",
            **channel.own_headers(),
            "X-Okta-Verification-Challenge": challenge,
        }
        try:
            response = await self._bounded("GET", channel.uri, headers)
        except (httpx2.TimeoutException, TimeoutError):
            return f"no answer within {self._settings.hook_timeout_seconds:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return f"could not connect: {error or type(error).__name__}"
        if response.status_code != 200:
            return f"HTTP {response.status_code}"
        try:
            proven = response.json() == {"verification": challenge}
        except ValueError:
            proven = False
        return "" if proven else 'HTTP 200, but the body is not {"verification": "<the challenge>"}'

    async def _bounded(
        self, method: str, uri: str, headers: dict[str, str], body: bytes | None = None
    ) -> httpx2.Response:
        # The client's own timeout is one for each step of a request; Okta's is for all of it.
        async with asyncio.timeout(self._settings.hook_timeout_seconds):
            return await self._client.request(method, uri, headers=headers, content=body)


def as_body(envelope: dict[str, Any]) -> bytes:
    """As it is sent."""
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def _trust(ca_file: Path | str | None) -> ssl.SSLContext:
    context = httpx2.create_ssl_context(trust_env=False)
    try:
        if ca_file is not None:
            context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        why = "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SimulatorError(f"cannot use {ca_file}: {why}. Name the receiver's CA certificate by --hook-ca") from None
    return context
