"""A simulated Okta org beside a test: in a thread of its own, so that any test and any HTTP client can call it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import httpx2

from rosterhook.simulator import Settings, Simulator, running
from rosterhook.simulator.lifecycle import STEPS
from rosterhook.simulator.org import Org, user_target
from rosterhook.simulator.views import alone, shown_group

Json = dict[str, Any]
T = TypeVar("T")

POLL_SECONDS = 0.02


class OktaOrg:
    """The org, as a test changes and asks it. Users and groups are what a GET by id answers.

    Every method waits for its end. In an async test whose own loop has to answer meanwhile, as with a hook's receiver
    in the same loop, call it in a thread: ``await asyncio.to_thread(okta_org.set_hook, url, secret)``.

    Attributes:
        url: where it is, such as http://127.0.0.1:41234.
        token: the API token that it accepts.
        ca_file: the certificate authority to trust; None without TLS.
        simulator: all that is behind it, for what has no method here; it lives in another thread.
    """

    def __init__(self, simulator: Simulator, loop: asyncio.AbstractEventLoop, client: httpx2.Client) -> None:
        self.simulator = simulator
        self.url = simulator.address
        self.token = simulator.settings.token
        self.ca_file = simulator.ca_file
        self._loop = loop
        self._client = client
        self._numbers = itertools.count(1)

    @property
    def headers(self) -> dict[str, str]:
        """What a caller of the API has to send."""
        return {"Authorization": f"SSWS {self.token}"}

    def create_user(self, *, activate: bool = True, password: bool = True, **profile: Any) -> Json:
        """A new user: ACTIVE, or PROVISIONED without a password, or STAGED when not activated.

        Args:
            profile: attributes; the four that Okta demands are made up where they are missing.
        """
        number = next(self._numbers)
        login = profile.get("login") or profile.get("email") or f"user{number}@example.com"
        whole = {"firstName": "Ada", "lastName": f"Example {number}", "login": login, "email": login, **profile}
        return self._user(lambda org: org.create(whole, activate=activate, password=password))

    def update_user(self, user_id: str, **profile: Any) -> Json:
        """Change some attributes; None takes a value away."""
        return self._user(lambda org: org.update(user_id, profile))

    def step(self, user_id: str, name: str) -> Json:
        """A step of the life cycle: suspend, unsuspend, deactivate, activate, unlock, lock, set_password, ...

        Raises:
            ValueError: there is no such step; the message lists them.
            OktaError: the user's status does not allow it, or there is no such user.
        """
        if name not in STEPS:
            raise ValueError(f"no such step: {name}; there are {', '.join(STEPS)}")
        return self._user(lambda org: org.step(user_id, name))

    def deactivate_user(self, user_id: str) -> Json:
        """The user becomes DEPROVISIONED."""
        return self.step(user_id, "deactivate")

    def delete_user(self, user_id: str) -> None:
        """The user goes for good, after a deactivation where there was none yet."""

        def both_steps(org: Org) -> None:
            if org.get(user_id)["status"] != "DEPROVISIONED":
                org.step(user_id, "deactivate")
            org.delete(user_id)

        self._do(both_steps)

    def user(self, user_id: str) -> Json:
        """By id or login, as it is now. Raises OktaError when there is none."""
        return self._user(lambda org: org.get(user_id))

    def create_group(self, name: str, **profile: Any) -> Json:
        """A new group without members."""
        return self._do(lambda org: shown_group(org.groups.create({"name": name, **profile}), self.url))

    def add_to_group(self, group_id: str, user_id: str) -> None:
        """Make the user a member."""
        self._do(lambda org: org.groups.add(group_id, user_target(org.get(user_id))))

    def remove_from_group(self, group_id: str, user_id: str) -> None:
        """End the membership."""
        self._do(lambda org: org.groups.remove(group_id, user_target(org.get(user_id))))

    def truth(self) -> Json:
        """Every user as it is now, each group with its members, the ids of the deleted, how many have each status."""
        return self.control("GET", "truth")

    def set_hook(self, url: str, secret: str = "", **more: Any) -> Json:
        """Have the org verify this address and deliver every event there.

        Args:
            more: `header`, `headers`, `batch_seconds`, `max_batch`, `patient`, as POST /_sim/hook takes them.

        Raises:
            ValueError: it did not verify; the message has Okta's words, and what came back.
        """
        return self.control("POST", "hook", {"url": url, "secret": secret, **more})

    def faults(self, **faults: Any) -> Json:
        """Change what goes wrong on purpose, as POST /_sim/faults takes it; the faults that are in force now."""
        return self.control("POST", "faults", faults)

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        self.control("DELETE", "faults")

    def traffic(self, changes: int, **job: Any) -> Json:
        """Begin so many random changes, as POST /_sim/traffic takes them; `wait_quiet` waits for their end."""
        return self.control("POST", "traffic", {"changes": changes, **job})

    def wait_quiet(self, seconds: float = 10.0) -> Json:
        """Wait until every change is made and every delivery is acknowledged or given up; the tally.

        Raises:
            TimeoutError: it is not so within `seconds`.
        """
        end = time.monotonic() + seconds
        while True:
            progress = self.control("GET", "traffic")
            if not progress["running"] and not progress["deliveries"]["pending"]:
                return progress
            if time.monotonic() > end:
                raise TimeoutError(f"the org is not quiet after {seconds} s: {progress}")
            time.sleep(POLL_SECONDS)

    def control(self, method: str, path: str, body: Json | None = None) -> Json:
        """Call a path below /_sim/, and return its JSON.

        Raises:
            ValueError: the simulator refuses, with its words.
        """
        answer = self._client.request(method, f"{self.url}/_sim/{path}", json=body)
        if answer.is_error:
            raise ValueError(f"{method} /_sim/{path}: {answer.status_code} {_words(answer)}")
        found: Json = answer.json() if answer.content else {}
        return found

    def _user(self, action: Callable[[Org], Json]) -> Json:
        return alone(self._do(action), self.url)

    def _do(self, action: Callable[[Org], T]) -> T:
        async def run() -> T:
            return action(self.simulator.org)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


def _words(answer: httpx2.Response) -> str:
    """What a refusal says: in the simulator's words, or in Okta's with what Okta does not tell."""
    if "json" not in answer.headers.get("content-type", ""):
        return answer.text
    told = answer.json()
    causes = [each["errorSummary"] for each in told.get("errorCauses", ())]
    said = [told.get("error"), *(causes or [told.get("errorSummary")]), told.get("why")]
    return ": ".join(filter(None, said))


@contextlib.contextmanager
def served(settings: Settings | None = None) -> Iterator[OktaOrg]:
    """Run an org for as long as this is open.

    Raises:
        SimulatorError: something in the settings cannot be used.
    """
    started: Future[tuple[Simulator, asyncio.AbstractEventLoop, Callable[[], object]]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(settings, started)), name="okta-org", daemon=True)
    thread.start()
    try:
        simulator, loop, stop = started.result()
        try:
            verify = ssl.create_default_context(cafile=simulator.ca_file) if simulator.ca_file else True
            with httpx2.Client(verify=verify, trust_env=False, timeout=60.0) as client:
                yield OktaOrg(simulator, loop, client)
        finally:
            loop.call_soon_threadsafe(stop)
    finally:
        thread.join()


async def _serve(settings: Settings | None, started: Future[Any]) -> None:
    stop = asyncio.Event()
    try:
        async with running(settings) as simulator:
            started.set_result((simulator, asyncio.get_running_loop(), stop.set))
            await stop.wait()
    except Exception as error:
        if started.done():
            raise
        started.set_exception(error)
