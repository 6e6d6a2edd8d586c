"""The receiver: takes Okta's event hook and answers once the delivery is on disk.

A plain ASGI callable in front of the web application: a router before it costs a third of its speed. Nothing is
parsed here. What Okta does with each answer (its documentation, "Event hooks"): 200 or 204 is success, a 4xx is
never sent again, a timeout of 3 s or a 5xx is sent again once. So a 4xx is only for what can never succeed.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Sequence
from types import TracebackType

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from rosterhook.config import HookConfig
from rosterhook.errors import StoreError
from rosterhook.hook_secrets import HookSecrets
from rosterhook.inbox import Inbox
from rosterhook.metrics import DELIVERIES
from rosterhook.model import Clock, Delivery, now_ms

#: The path of Okta's tutorial; it works beside the configured one.
TUTORIAL_PATH = "/userTransfer"
CHALLENGE = b"x-okta-verification-challenge"
KEPT_HEADERS = frozenset({b"content-type", b"user-agent", b"x-okta-request-id"})
MAX_HEADER_CHARS = 500

#: For body and commit. Okta gives up after 3 s: answer 503 before, so that it tries again at once.
ANSWER_SECONDS = 2.5

#: Made once, and not for every delivery.
ACCEPTED = DELIVERIES.labels("200")
START_200 = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
END = {"type": "http.response.body", "body": b""}

#: How Okta's User-Agent begins: "Okta Hook Service v1.0.0 - who..." with a delivery, "Okta-Integrations" with a
#: verification. (Recorded; anybody can send it: it decides nothing.)
OKTAS = b"okta"

Headers = Sequence[tuple[bytes, bytes]]

log = structlog.get_logger("rosterhook.receiver")


class Receiver:
    """Answers on the hook's paths and hands every other request to `app`.

    Args:
        hook: paths, header and the largest body.
        secrets: which values of the header are valid; None takes deliveries without one (the demo, on loopback).
        inbox: where deliveries go.
        app: the rest of the web application.

    Attributes:
        refused: calls that seem to be Okta's, with a wrong secret: how many, and when the last one came.
        unstored: deliveries with the right secret that could not be kept.
    """

    def __init__(
        self,
        hook: HookConfig,
        secrets: HookSecrets | None,
        inbox: Inbox,
        app: ASGIApp,
        *,
        clock: Clock = now_ms,
    ) -> None:
        self._inbox = inbox
        self._app = app
        self._clock = clock
        self._secrets = secrets
        self.refused: tuple[int, int] = (0, 0)
        self.unstored = 0
        self._secret_header = hook.header.lower().encode()
        self._max_body_bytes = hook.max_body_bytes
        paths = {hook.path.rstrip("/") or "/", TUTORIAL_PATH}
        self._paths = paths | {path + "/" for path in paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
        elif scope["method"] == "POST":
            await self._take(scope["headers"], receive, send)
        elif scope["method"] == "GET":
            await self._verify(scope["headers"], send)
        else:
            await _answer(send, 405, b"Okta sends GET and POST here.", ((b"allow", b"GET, POST"),))

    async def _verify(self, headers: Headers, send: Send) -> None:
        """Okta's one-time verification: give back the challenge. The secret comes with it."""
        challenges = [value for name, value in headers if name == CHALLENGE]
        if not self._knows(headers):
            await self._refuse(headers, send)
        elif len(challenges) != 1:
            await _answer(send, 400, b"This is an event hook of Okta. A GET needs one header " + CHALLENGE + b".")
        else:
            log.info("hook.verified")
            body = json.dumps({"verification": challenges[0].decode("latin-1")}).encode()
            await _answer(send, 200, body, ((b"content-type", b"application/json"),))

    async def _take(self, headers: Headers, receive: Receive, send: Send) -> None:
        if not self._knows(headers):
            await self._refuse(headers, send)
            return
        fault = None
        try:
            with _Deadline(ANSWER_SECONDS):
                body = await self._body(headers, receive)
                if body is None:
                    fault = "too_large"
                await self._inbox.append(Delivery(self._clock(), _kept(headers), body or b"", fault))
        except TimeoutError:
            await self._unavailable(send, f"no whole body and commit within {ANSWER_SECONDS:g} s")
        except ConnectionError:
            return  # the other side is gone: there is nobody to answer, and nothing was promised
        except StoreError as error:
            await self._unavailable(send, str(error))
        else:
            await (self._accept(send) if fault is None else self._too_large(send))

    async def _accept(self, send: Send) -> None:
        ACCEPTED.inc()
        await send(START_200)
        await send(END)

    async def _too_large(self, send: Send) -> None:
        DELIVERIES.labels("413").inc()
        log.warning("hook.too_large", limit_bytes=self._max_body_bytes, hint="Raise hook.max_body_bytes.")
        await _answer(send, 413, b"Larger than hook.max_body_bytes.", ((b"connection", b"close"),))

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body, or None when it is over the cap.

        Raises:
            ConnectionError: the sender went away in the middle.
        """
        if _declared_length(headers) > self._max_body_bytes:
            return None
        message = await receive()
        if not message.get("more_body") and message["type"] == "http.request":
            body: bytes = message["body"]
            return body if len(body) <= self._max_body_bytes else None
        parts = bytearray()
        while True:
            if message["type"] == "http.disconnect":
                raise ConnectionError
            parts += message.get("body", b"")
            if len(parts) > self._max_body_bytes:
                return None
            if not message.get("more_body"):
                return bytes(parts)
            message = await receive()

    def _knows(self, headers: Headers) -> bool:
        """Two such headers are refused: a proxy may have read the other."""
        if self._secrets is None:
            return True
        given = [value for name, value in headers if name == self._secret_header]
        if len(given) != 1:
            return False
        # A secret that is not known may be that of a rotation, made a moment ago by another process.
        return self._matches(given[0]) or (self._secrets.refresh() and self._matches(given[0]))

    def _matches(self, given: bytes) -> bool:
        """In constant time: every valid secret is compared, whichever fits."""
        assert self._secrets is not None  # noqa: S101 - for the type checker
        matches = [hmac.compare_digest(given, secret) for secret in self._secrets.valid]
        return any(matches)

    async def _refuse(self, headers: Headers, send: Send) -> None:
        if any(name == b"user-agent" and value.lower().startswith(OKTAS) for name, value in headers):
            self.refused = (self.refused[0] + 1, self._clock())
        DELIVERIES.labels("401").inc()
        log.warning("hook.refused", reason="the secret is missing, wrong or doubled")
        await _answer(send, 401, b"Wrong or no secret.", ((b"connection", b"close"),))

    async def _unavailable(self, send: Send, why: str) -> None:
        self.unstored += 1
        DELIVERIES.labels("503").inc()
        log.error("hook.not_stored", reason=why)
        await _answer(send, 503, b"Not stored: send it again.", ((b"connection", b"close"),))


class _Deadline:
    """`asyncio.timeout`, at a quarter of its cost, which would be a tenth of all that is done for a delivery.

    Raises:
        TimeoutError: on leaving, when the time was over before.
    """

    __slots__ = ("_handle", "_over", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - ASGI calls come in a task
        self._task = task
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        self._over = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._handle.cancel()
        if self._over and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error


def _kept(headers: Headers) -> dict[str, str]:
    return {
        name.decode("latin-1"): value[:MAX_HEADER_CHARS].decode("latin-1")
        for name, value in headers
        if name in KEPT_HEADERS
    }


def _declared_length(headers: Headers) -> int:
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _answer(send: Send, status: int, body: bytes = b"", headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})
