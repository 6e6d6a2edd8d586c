"""The paths below /_sim: what a test asks of the simulator itself. They ask for no password (see Settings.host)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rosterhook.simulator.auth.control import INDEX as ACCESS_INDEX
from rosterhook.simulator.auth.control import AccessControl
from rosterhook.simulator.bodies import json_object
from rosterhook.simulator.checks import number, table
from rosterhook.simulator.errors import OktaError, Unproven
from rosterhook.simulator.gate import base_url
from rosterhook.simulator.hooks.preview import preview
from rosterhook.simulator.problems import SimulatorError
from rosterhook.simulator.traffic import Job
from rosterhook.simulator.world import Simulator

Endpoint = Callable[[Request], Awaitable[Response]]

INDEX = {
    "GET /_sim/truth": "every user as it is now, the groups with their members, the deleted, how many have each status",
    "GET /_sim/calls": "API calls by bucket and by status",
    "POST /_sim/users": '{"count": 10}: that many new random users',
    "POST /_sim/traffic": '{"changes": 100, "seed": 1, "per_second": null, "mix": {"update": 1}}',
    "GET /_sim/traffic": "how far the traffic and the deliveries are",
    "DELETE /_sim/traffic": "stop the traffic",
    "POST /_sim/hook": '{"url": "http://127.0.0.1:8787/okta/events", "secret": "..."}: verify it, then deliver to it',
    "GET /_sim/hook": "the hook",
    "DELETE /_sim/hook": "no hook any more",
    "POST /_sim/preview": '{"hook": "who...", "event": "user.lifecycle.create"}: deliver one event, by type or uuid',
    **ACCESS_INDEX,
    "POST /_sim/faults": '{"drop": 0.1, "outage": true, ...}: change what is named',
    "GET /_sim/faults": "the faults in force",
    "DELETE /_sim/faults": "no faults any more",
    "POST /_sim/state": "have all that is so now in the state file before this is answered",
}


class Control:
    """The endpoints, one method each."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[Route]:
        """Paths and methods."""
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/_sim/", self.index),
            ("GET", "/_sim/truth", self.truth),
            ("GET", "/_sim/calls", self.calls),
            ("POST", "/_sim/users", self.create_users),
            ("GET", "/_sim/traffic", self.traffic),
            ("POST", "/_sim/traffic", self.start_traffic),
            ("DELETE", "/_sim/traffic", self.stop_traffic),
            ("GET", "/_sim/hook", self.hook),
            ("POST", "/_sim/hook", self.set_hook),
            ("DELETE", "/_sim/hook", self.remove_hook),
            ("POST", "/_sim/preview", self.preview),
            *AccessControl(self._simulator.access.principals).table(),
            ("GET", "/_sim/faults", self.faults),
            ("POST", "/_sim/faults", self.merge_faults),
            ("DELETE", "/_sim/faults", self.clear_faults),
            ("POST", "/_sim/state", self.save_state),
        ]
        return [Route(path, _polite(endpoint), methods=[method]) for method, path, endpoint in table]

    async def index(self, _request: Request) -> Response:
        """What there is."""
        return JSONResponse({"simulator": "rosterhook", "users": len(self._simulator.org), "paths": INDEX})

    async def truth(self, request: Request) -> Response:
        """The same JSON that GET by id would answer, for everybody at once."""
        return JSONResponse(self._simulator.truth(base_url(self._simulator, request)))

    async def calls(self, _request: Request) -> Response:
        """How often the API was called, refused calls included."""
        by_status = self._simulator.calls_by_status
        by_bucket = self._simulator.calls_by_bucket
        return JSONResponse({"total": by_status.total(), "by_bucket": by_bucket, "by_status": by_status})

    async def create_users(self, request: Request) -> Response:
        """Random users, with their events."""
        count = number("count", (await json_object(request)).get("count", 1), whole=True)
        return JSONResponse({"ids": self._simulator.create_users(count)})

    async def traffic(self, _request: Request) -> Response:
        """Progress; everything is settled when `running` is false and `pending` 0."""
        return JSONResponse(self._progress())

    async def start_traffic(self, request: Request) -> Response:
        """Begin a job."""
        body = await json_object(request)
        if unknown := sorted(set(body) - {"changes", "seed", "per_second", "mix"}):
            raise ValueError(f"no such key: {', '.join(unknown)}; there are changes, mix, per_second, seed")
        rate, mix = body.get("per_second"), table("mix", body.get("mix") or {})
        job = Job(
            number("changes", body.get("changes", 100), whole=True),
            number("seed", body.get("seed", 1), -math.inf, whole=True),
            None if rate is None else number("per_second", rate, above=True),
            {name: number(f"mix.{name}", weight) for name, weight in mix.items()},
        )
        self._simulator.traffic.start(job)
        return JSONResponse(self._progress(), 202)

    async def stop_traffic(self, _request: Request) -> Response:
        """End the job; deliveries go on."""
        await self._simulator.traffic.stop()
        return JSONResponse(self._progress())

    async def hook(self, _request: Request) -> Response:
        """The hook, without its secret."""
        shown = self._simulator.shortcut.as_json()
        return JSONResponse(shown or {"error": "no hook is set"}, 200 if shown else 404)

    async def set_hook(self, request: Request) -> Response:
        """Verify, then deliver. A hook that does not prove itself is Okta's error, and why, which Okta doesn't tell."""
        try:
            await self._simulator.shortcut.set(await json_object(request))
        except Unproven as error:
            return JSONResponse({**error.body("oae-simulator"), "why": error.why}, error.status)
        return JSONResponse(self._simulator.shortcut.as_json())

    async def remove_hook(self, _request: Request) -> Response:
        """Events are delivered to nobody."""
        self._simulator.shortcut.remove()
        return Response(status_code=204)

    async def preview(self, request: Request) -> Response:
        """As an admin's click on "Deliver Request" in the console."""
        body, simulator = await json_object(request), self._simulator
        if set(body) != {"hook", "event"}:
            raise ValueError('it takes {"hook": id, "event": uuid or type}')
        hook, event = str(body["hook"]), str(body["event"])
        return JSONResponse(await preview(simulator.hooks, hook, event, simulator.rng, simulator.clock()))

    async def faults(self, _request: Request) -> Response:
        """The plan in force."""
        return JSONResponse(self._simulator.faults.as_json())

    async def merge_faults(self, request: Request) -> Response:
        """Change the plan."""
        self._simulator.faults.merge(await json_object(request))
        return JSONResponse(self._simulator.faults.as_json())

    async def clear_faults(self, _request: Request) -> Response:
        """Back to normal."""
        self._simulator.faults.clear()
        return JSONResponse(self._simulator.faults.as_json())

    async def save_state(self, _request: Request) -> Response:
        """So that a test may kill the simulator right after."""
        save = self._simulator.save
        if save is None:
            return JSONResponse({"error": "the simulator was started without a state file"}, 404)
        try:
            await save()
        except SimulatorError as error:
            return JSONResponse({"error": str(error)}, 500)
        return Response(status_code=204)

    def _progress(self) -> dict[str, Any]:
        simulator = self._simulator
        job = simulator.traffic.job
        return {
            "running": simulator.busy,
            "done": simulator.traffic.done,
            "total": job.changes if job else 0,
            "error": simulator.traffic.error,
            "events": simulator.org.events,
            "deliveries": simulator.hooks.as_json(),
        }


def _polite(endpoint: Endpoint) -> Endpoint:
    """Tell a caller's mistake as 400 with its reason."""

    async def answer(request: Request) -> Response:
        # A call in process otherwise lets nobody else run, and a caller that polls would wait for ever.
        await asyncio.sleep(0)
        try:
            return await endpoint(request)
        except OktaError as error:
            return JSONResponse(error.body("oae-simulator"), error.status)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer
