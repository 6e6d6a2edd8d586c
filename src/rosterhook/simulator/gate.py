"""What every call passes: faults, who calls, the limits, scope and role; and what every answer carries."""

from __future__ import annotations

import asyncio
import uuid
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api import PATHS
from rosterhook.simulator.api.call import Action, Call
from rosterhook.simulator.auth import endpoint
from rosterhook.simulator.auth.admission import Admission, check_scope, sees_nothing
from rosterhook.simulator.auth.principals import Principal
from rosterhook.simulator.auth.refusals import OAuthError, Refusal
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.events import new_id, target
from rosterhook.simulator.limits import WARNING_PERCENT, Allowance, Crossing
from rosterhook.simulator.world import Simulator

#: In every recorded answer.
_UNCACHED = {"Cache-Control": "no-cache, no-store", "Expires": "0", "Pragma": "no-cache"}


class Gate:
    """Answers everything below /api/v1, and gives access tokens."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._admission = Admission(simulator.access)
        self._tokens = endpoint.TokenEndpoint(simulator.access)
        self._running = 0

    async def answer(self, request: Request) -> Response:
        """One API call, from its arrival to its headers."""
        action, args = _route(request)
        self._running += 1
        try:
            await self._take_time()
            response, allowance = await self._answer(request, action, args)
        finally:
            self._running -= 1
        return self._signed(response, allowance, action.bucket)

    async def token(self, request: Request) -> Response:
        """One call to the token endpoint, the same way."""
        await self._take_time()
        allowance: Allowance | None = None
        try:
            if request.method != "POST":
                raise errors.bad_method()
            form = await endpoint.parameters(request)
            client = self._simulator.access.assertions.claimed_client(form.get("client_assertion"))
            allowance = self._spend("token", client, request)
            response = self._granted(request, form, allowance)
        except OAuthError as error:
            response = error.answer()
        except OktaError as error:
            response = self._error(error)
        return self._signed(response, allowance or self._spend("token", None, request), "token")

    async def _answer(self, request: Request, action: Action, args: tuple[str, ...]) -> tuple[Response, Allowance]:
        if self._crowded(request):
            return self._error(errors.too_many_calls()), self._simulator.limits.crowded()
        principal: Principal | None = None
        allowance: Allowance | None = None
        base = base_url(self._simulator, request)
        try:
            self._break()
            principal = self._principal(request, base)
            allowance = self._spend(action.bucket, principal.id, request)
            if allowance.exceeded:
                raise errors.too_many_calls()
            call = Call(self._simulator, request, base, args, principal)
            hidden = self._hides(call, action)
            response = await action.handler(call)
            if hidden:
                response = _emptied(response)
        except OktaError as error:
            response = self._error(error)
        except Refusal as refusal:
            response = refusal.answer(request.url.netloc, action.scope, request.url.path)
        return response, allowance or self._spend(action.bucket, None, request)

    def _granted(self, request: Request, form: dict[str, str], allowance: Allowance) -> Response:
        self._break()
        if allowance.exceeded:
            raise errors.too_many_calls()
        lost = frozenset(self._simulator.faults.plan.lost_scope)
        return self._tokens.grant(request, form, base_url(self._simulator, request), lost)

    async def _take_time(self) -> None:
        planned = self._simulator.faults.plan.latency_ms
        latency = self._simulator.settings.latency_ms if planned is None else planned
        # Even 0: a call in process otherwise lets nobody else run, and a caller that polls would wait for ever.
        await asyncio.sleep(latency / 1000)

    def _crowded(self, request: Request) -> bool:
        faults = self._simulator.faults
        if faults.strikes(faults.plan.concurrency_429):
            return True
        if self._running <= self._simulator.settings.concurrency:
            return False
        self._simulator.org.tell_of("core.concurrency.org.limit.violation", [], request.url.path)
        return True

    def _break(self) -> None:
        faults = self._simulator.faults
        if faults.plan.outage:
            raise errors.unavailable()
        if faults.strikes(faults.plan.status_500):
            raise errors.internal()

    def _principal(self, request: Request, base: str) -> Principal:
        principal = self._admission.authenticate(request, endpoint.called_urls(request, base))
        return principal._replace(role="none") if self._simulator.faults.plan.lost_role else principal

    def _hides(self, call: Call, action: Action) -> bool:
        """Whether a list is to look empty. Raises OktaError or Refusal where scopes or role don't reach."""
        simulator = self._simulator
        check_scope(call.request, call.principal, action.scope, frozenset(simulator.faults.plan.lost_scope))
        hides = simulator.settings.roleless == "empty"
        return sees_nothing(call.principal, action.scope, call.args, hides=hides)

    def _spend(self, bucket: str, principal: str | None, request: Request) -> Allowance:
        simulator = self._simulator
        if simulator.faults.strikes(simulator.faults.plan.status_429):
            return simulator.limits.refusal(bucket, principal)
        allowance = simulator.limits.spend(bucket, principal)
        for crossing in allowance.crossings:
            self._tell(crossing, request.url.path)
        return allowance

    def _tell(self, crossing: Crossing, path: str) -> None:
        """An event of the System Log, as it was recorded."""
        bucket = str(uuid.uuid5(uuid.NAMESPACE_URL, crossing.bucket))
        debug_data = {
            "rateLimitBucketUuid": bucket,
            "rateLimitScopeType": crossing.scope,
            "rateLimitSecondsToReset": str(crossing.seconds_to_reset),
            "threshold": str(crossing.limit),
            "timeSpan": "1",
            "timeUnit": "MINUTES",
        }
        if crossing.what == "warning":
            debug_data["warningPercent"] = str(WARNING_PERCENT)
        targets = [target("URL Pattern", path, None, None), target("Bucket Uuid", bucket, None, None)]
        self._simulator.org.tell_of(f"system.org.rate_limit.{crossing.what}", targets, path, debug_data=debug_data)

    def _error(self, error: OktaError) -> Response:
        return JSONResponse(error.body(new_id(self._simulator.rng, "oae", 22)), error.status)

    def _signed(self, response: Response, allowance: Allowance, bucket: str) -> Response:
        response.headers["X-Okta-Request-Id"] = new_id(self._simulator.rng, "Z", 26)
        response.headers["Date"] = formatdate(self._simulator.clock(), usegmt=True)
        response.headers.update({**_UNCACHED, **allowance.headers()})
        self._simulator.calls_by_bucket[bucket] += 1
        self._simulator.calls_by_status[str(response.status_code)] += 1
        return response


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


def _emptied(page: Response) -> Response:
    """The same page as if there was nobody: recorded with its link to itself."""
    response = JSONResponse([])
    for link in page.headers.getlist("link"):
        if link.endswith('rel="self"'):
            response.headers.append("Link", link)
    return response


async def _no_path(_call: Call) -> Response:
    raise errors.no_such_path()


async def _no_method(_call: Call) -> Response:
    raise errors.bad_method()


_NO_PATH, _NO_METHOD = Action(_no_path, "other", ""), Action(_no_method, "other", "")
