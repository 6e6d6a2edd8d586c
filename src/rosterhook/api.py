"""The HTTP API beside the hook: users, health, metrics, and the first page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Protocol

import apsw
import structlog
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from rosterhook.console.home import asset, home
from rosterhook.directory import shown
from rosterhook.errors import RosterhookError, StoreError
from rosterhook.inbox import SqliteInbox
from rosterhook.metrics import REGISTRY
from rosterhook.model import ORG, Clock, now_ms
from rosterhook.status import Status, read_health, read_status
from rosterhook.store.database import Database
from rosterhook.store.queries import rows
from rosterhook.targets import Row

log = structlog.get_logger("rosterhook.api")

PAGE = 200
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Shown(Protocol):
    """What the API needs of a target."""

    @property
    def name(self) -> str:
        """The target's name in the configuration."""

    def snapshot(self) -> AsyncIterator[Row]:
        """Every row; see `Target.snapshot`."""


class Api:
    """The endpoints, over both stores and the targets.

    Args:
        targets: in the order of the configuration; `/getUsers` shows the first.
    """

    def __init__(self, inbox: SqliteInbox, state: Database, targets: Sequence[Shown], *, clock: Clock = now_ms) -> None:
        self._inbox = inbox
        self._state = state
        self._targets = targets
        self._clock = clock
        self.app = Starlette(
            routes=[
                Route("/", self.home),
                Route("/style.css", self.style),
                Route("/getUsers", self.get_users),
                Route("/api/users", self.users),
                Route("/api/status", self.status),
                Route("/livez", self.livez),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
            ],
            exception_handlers={RosterhookError: _failed, HTTPException: _refused},
        )

    async def home(self, _request: Request) -> Response:
        """The first page."""
        return HTMLResponse(home(await self._status()), headers=PAGE_HEADERS)

    async def style(self, _request: Request) -> Response:
        """The page's style."""
        return PlainTextResponse(asset("style.css"), media_type="text/css")

    async def get_users(self, _request: Request) -> Response:
        """The tutorial's view: every row of the first target, column names as keys."""
        snapshot = self._targets[0].snapshot()
        # The first row is read before the answer begins, so that a target that is down is an error, not half a list.
        first = await anext(snapshot, None)
        return StreamingResponse(_json_array(first, snapshot), media_type="application/json", headers=PAGE_HEADERS)

    async def users(self, request: Request) -> Response:
        """The canonical users, a page at a time; the Link header names the next, as in Okta's own API."""
        limit = _limit(request.query_params.get("limit", str(PAGE)))
        values = {"org": ORG, "after": request.query_params.get("after", ""), "limit": limit}
        page = await self._state.read(lambda db: _users(db, values))
        headers = dict(PAGE_HEADERS)
        if len(page) == limit:
            following = request.url.include_query_params(after=page[-1]["id"], limit=limit)
            headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
        # Not by Starlette's JSON, which is UTF-8: half of a surrogate pair in one name would cost the whole page.
        return Response(json.dumps(page), media_type="application/json", headers=headers)

    async def status(self, _request: Request) -> Response:
        """What `rosterhook status --json` prints."""
        return JSONResponse(await self._status(), headers=PAGE_HEADERS)

    async def livez(self, _request: Request) -> Response:
        """This process answers."""
        return JSONResponse({"alive": True})

    async def readyz(self, _request: Request) -> Response:
        """503 when a delivery could not be stored. The rest is told, but refuses nothing: what is stored is safe."""
        try:
            await self._inbox.probe()
        except StoreError as error:
            log.error("store.not_writable", error=error.message, hint=error.hint)
            return JSONResponse({"ready": False, "store": "not writable"}, 503)
        return JSONResponse({"ready": True, "store": "writable", **await self._health()})

    async def _health(self) -> dict[str, Any]:
        try:
            return await self._state.read(lambda db: read_health(db, self._clock()))
        except StoreError as error:
            log.error("state.not_readable", error=error.message, hint=error.hint)
            return {"worker": "not known", "okta": "not known", "access": "", "oldest_due_seconds": None}

    async def metrics(self, _request: Request) -> Response:
        """Everything for Prometheus: this process's own counts, and the status of the whole."""
        registry = CollectorRegistry()
        registry.register(_StatusCollector(await self._status()))
        return Response(generate_latest(REGISTRY) + generate_latest(registry), media_type="text/plain; version=0.0.4")

    async def _status(self) -> Status:
        names = [target.name for target in self._targets]
        return await read_status(self._inbox.database, self._state, names, self._clock())


async def _json_array(first: Row | None, others: AsyncIterator[Row]) -> AsyncIterator[str]:
    if first is None:
        yield "[]"
        return
    yield "[" + json.dumps(first)
    async for row in others:
        yield "," + json.dumps(row)
    yield "]"


def _users(db: apsw.Connection, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [shown(row) for row in rows(db, "list_users", values)]


def _limit(text: str) -> int:
    if len(text) > 4 or not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise HTTPException(400, "limit is a number from 1 to 1000")
    return int(text)


async def _failed(_request: Request, error: Exception) -> Response:
    hint = error.hint if isinstance(error, RosterhookError) else ""
    message = error.message if isinstance(error, RosterhookError) else "failed"
    log.warning("api.failed", error=message, hint=hint)
    return JSONResponse({"error": message, "hint": hint}, 503, headers=PAGE_HEADERS)


async def _refused(_request: Request, error: Exception) -> Response:
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "failed")
    return JSONResponse({"error": detail}, status, headers=PAGE_HEADERS)


class _StatusCollector(Collector):
    """The numbers of the status as gauges."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status
        for section in ("deliveries", "events", "subjects", "users", "lag_seconds"):
            gauge = GaugeMetricFamily(f"rosterhook_{section}", f"`{section}` of the status.", labels=["kind"])
            for kind, number in status[section].items():
                if number is not None:
                    gauge.add_metric([kind], number)
            yield gauge
        links = GaugeMetricFamily("rosterhook_links", "Users by target and state.", labels=["target", "state"])
        for target in status["targets"]:
            for state in ("in_sync", "pending", "parked", "held"):
                links.add_metric([target["name"], state], target[state])
        yield links
        yield GaugeMetricFamily("rosterhook_worker_running", "1 while the worker runs.", status["worker"]["running"])
        hook, log_ = status["hook"], status["log"]
        yield GaugeMetricFamily("rosterhook_hook_silent", "1 while events come by the log alone.", hook["silent"])
        yield GaugeMetricFamily("rosterhook_hook_events_of_day", "Events for the hook in 24 h.", hook["events_of_day"])
        yield GaugeMetricFamily("rosterhook_access_lost", "1 while Okta hides users.", bool(status["okta"]["access"]))
        if log_["polled_seconds_ago"] is not None:
            yield GaugeMetricFamily("rosterhook_log_age_seconds", "Since the last poll.", log_["polled_seconds_ago"])
