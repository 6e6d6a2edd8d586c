"""What every API call passes: faults, the token, the rate limit; and what every answer carries."""

from __future__ import annotations

import asyncio
import hmac
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api import PATHS
from rosterhook.simulator.api.call import Action, Call
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.events import new_id
from rosterhook.simulator.limits import Allowance
from rosterhook.simulator.world import Simulator


class Gate:
    """Answers everything below /api/v1."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def answer(self, request: Request) -> Response:
        """One call, from its arrival to its headers."""
        action, args = _route(request)
        await self._take_time()
        allowance = self._spend(action.bucket)
        try:
            self._admit(request, allowance)
            response = await action.handler(Call(self._simulator, request, base_url(self._simulator, request), args))
        except OktaError as error:
            error_id = new_id(self._simulator.rng, "oae", 22)
            response = JSONResponse(error.body(error_id), error.status)
        self._sign(response, allowance)
        self._simulator.calls_by_bucket[action.bucket] += 1
        self._simulator.calls_by_status[str(response.status_code)] += 1
        return response

    async def _take_time(self) -> None:
        planned = self._simulator.faults.plan.latency_ms
        latency = self._simulator.settings.latency_ms if planned is None else planned
        # Even 0: a call in process otherwise lets nobody else run, and a caller that polls would wait for ever.
        await asyncio.sleep(latency / 1000)

    def _spend(self, bucket: str) -> Allowance:
        faults = self._simulator.faults
        if faults.strikes(faults.plan.status_429):
            return self._simulator.limits.refusal(bucket)
        return self._simulator.limits.spend(bucket)

    def _admit(self, request: Request, allowance: Allowance) -> None:
        faults = self._simulator.faults
        if faults.plan.outage:
            raise errors.unavailable()
        if faults.strikes(faults.plan.status_500):
            raise errors.internal()
        expected = f"SSWS {self._simulator.settings.token}".encode()
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected):
            raise errors.bad_token()
        if allowance.exceeded:
            raise errors.too_many_calls()

    def _sign(self, response: Response, allowance: Allowance) -> None:
        response.headers["X-Okta-Request-Id"] = new_id(self._simulator.rng, "Z", 26)
        response.headers["Date"] = formatdate(self._simulator.clock(), usegmt=True)
        response.headers.update(allowance.headers())


def base_url(simulator: Simulator, request: Request) -> str:
    """Where the org is, for links: where it is served, or else as the caller calls it."""
    return simulator.url or str(request.base_url).rstrip("/")


def _route(request: Request) -> tuple[Action, tuple[str, ...]]:
    # Starlette has decoded the path already; a login with a slash can only be asked for by id, as in Okta.
    path = request.path_params["path"]
    for known in PATHS:
        match = known.pattern.fullmatch(path)
        if match is not None:
            return known.methods.get(request.method, _NO_METHOD), match.groups()
    return _NO_PATH, ()


async def _no_path(_call: Call) -> Response:
    raise errors.no_such_path()


async def _no_method(_call: Call) -> Response:
    raise errors.bad_method()


_NO_PATH, _NO_METHOD = Action(_no_path, "other", ""), Action(_no_method, "other", "")
