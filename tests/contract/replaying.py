"""Recorded requests, sent again to a simulated org that was brought to where the recorded one was."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from recordings import ID, Exchange
from starlette.requests import Request
from starlette.responses import JSONResponse

from oauth_caller import Caller, app
from rosterhook.simulator import Settings, Simulator, in_process
from rosterhook.simulator.events import milliseconds
from rosterhook.simulator.org import user_target

#: Behind the whole second that an answer's Date tells, so that what has milliseconds shows them.
FRACTION = 0.265
#: How a user gets to a status, after the start that its password allows.
STEPS = {
    "PASSWORD_EXPIRED": "expire_password",
    "RECOVERY": "reset_password",
    "SUSPENDED": "suspend",
    "DEPROVISIONED": "deactivate",
}
SECRET = "replayed-secret"
MEMBERS = re.compile(r"/api/v1/(users|groups)/([\w-]{20})/(?:groups|users)")
CURSOR = re.compile(r"[?&]after=([^&>]+)")


class Stage:
    """An org for one conversation.

    Attributes:
        ids: recorded ids of users, groups and hooks, and cursors of lists; and what stands for each of them here.
    """

    def __init__(self, simulator: Simulator, okta: httpx2.AsyncClient, clock: list[float]) -> None:
        self.simulator = simulator
        self.okta = okta
        self.ids: dict[str, str] = {}
        self._clock = clock
        self._caller = Caller(okta, clock=lambda: clock[0])
        self._token = ""
        self._told: set[str] = set()

    def set_the_scene(self, conversation: list[Exchange]) -> None:
        """Make all that was there before, in the order in which it came into being."""
        made = {each.makes for each in conversation if each.makes}
        # Of a group that was made here all memberships are told, but for those of rules, which are not simulated.
        self._told = set() if any("/groups/rules" in each.path for each in conversation) else made
        for key, row in _before(conversation, made):
            self._clock[0] = _seconds(row["created"]) if "created" in row else conversation[0].at
            self.ids[key] = self._make(key, row)
        for event in (row for each in conversation if each.path == "/api/v1/logs" for row in each.rows):
            self._clock[0] = _seconds(event["published"])
            uri = event["debugContext"]["debugData"]["requestUri"]
            self.simulator.org.tell_of(event["eventType"], copy.deepcopy(event["target"]), uri)

    async def send(self, exchange: Exchange) -> httpx2.Response:
        """The same request, and the answer of this org."""
        self._clock[0] = exchange.at + FRACTION
        self._make_true(exchange)
        answer = await (self._login(exchange) if "/oauth2/" in exchange.path else self._call(exchange))
        if answer.is_success and exchange.status < 300:
            self._learn(exchange, answer)
        return answer

    def ours(self, text: str) -> str:
        """Recorded text, with what this org has in place of the recorded ids and cursors."""
        # A cursor may hold an id.
        for theirs in sorted(self.ids, key=len, reverse=True):
            text = text.replace(theirs, self.ids[theirs])
        return text

    async def _call(self, exchange: Exchange) -> httpx2.Response:
        url = self.simulator.url + self.ours(exchange.url.removeprefix(exchange.base))
        headers = {}
        if "dpop" in exchange.sent_headers:
            proof = self._caller.proof(exchange.method, url.partition("?")[0], token=self._token)
            headers = {"Authorization": f"DPoP {self._token}", "DPoP": proof}
        body = _body(exchange)
        content = None if body is None else self.ours(json.dumps(body))
        return await self.okta.request(exchange.method, url, content=content, headers=headers)

    async def _login(self, exchange: Exchange) -> httpx2.Response:
        proof = self._caller.proof() if "dpop" in exchange.sent_headers else None
        answer = await self._caller.ask(proof=proof, scope=exchange.sent["scope"])
        # The recorded program began each login without a nonce.
        self._caller.nonce = answer.headers.get("dpop-nonce") if answer.is_error else None
        self._token = answer.json().get("access_token", "")
        return answer

    def _make(self, key: str, row: dict[str, Any]) -> str:
        org = self.simulator.org
        if key.startswith("00g"):
            if row.get("type") == "BUILT_IN":
                return org.groups.everyone
            return str(org.groups.create(row.get("profile", {"name": key}), announce=False)["id"])
        credentials, status = row.get("credentials", {"password": {}}), row.get("status", "ACTIVE")
        user = org.create(
            row.get("profile") or _profile(key),
            activate=status != "STAGED" and (status != "DEPROVISIONED" or row.get("activated") is not None),
            password="password" in credentials,
            question=credentials.get("recovery_question", {}).get("question"),
            announce=False,
        )
        if status in STEPS:
            org.step(user["id"], STEPS[status])
        return str(user["id"])

    def _make_true(self, exchange: Exchange) -> None:
        """Let happen what no request of the conversation tells, although its answers do."""
        org, named = self.simulator.org, ID.findall(exchange.path)
        if exchange.status == 404 and named and org.find(self.ids.get(named[0], "")):
            for _ in range(2):
                org.delete(self.ids[named[0]])
        members = MEMBERS.fullmatch(exchange.path)
        if members and exchange.method == "GET":
            self._move_members(exchange, *members.groups())
        if _next(exchange.headers.get("link", [])) and exchange.path.endswith("/users"):
            # Who stands on the page behind is not recorded, but somebody does.
            org.create(_profile(f"behind{len(org)}"), announce=False)

    def _move_members(self, exchange: Exchange, kind: str, key: str) -> None:
        """Into groups, or out of one that is empty then, unless requests of the conversation are to do it."""
        org = self.simulator.org
        rows = [row for row in exchange.rows if row.get("type") != "BUILT_IN"]
        for row in rows:
            group, user = (key, row["id"]) if kind == "groups" else (row["id"], key)
            if group not in self._told:
                org.groups.add(self.ids[group], user_target(org.get(self.ids[user])))
        if kind == "groups" and key not in self._told and not rows:
            for user_id in org.groups.members(self.ids[key]) or ():
                org.groups.remove(self.ids[key], user_target(org.get(user_id)))

    def _learn(self, exchange: Exchange, answer: httpx2.Response) -> None:
        """What stands here for what the recorded answer names for the first time."""
        body = answer.json() if answer.content else None
        rows = body if isinstance(body, list) else [body]
        for theirs, own in zip(exchange.rows, rows, strict=False):
            if _has_id(theirs) and _has_id(own):
                self.ids.setdefault(theirs["id"], own["id"])
        theirs, own = (_next(links) for links in (exchange.headers.get("link", []), answer.headers.get_list("link")))
        if theirs and own:
            self.ids[theirs] = own


@contextlib.asynccontextmanager
async def staged(conversation: list[Exchange]) -> AsyncIterator[Stage]:
    """A fresh org, as it was when the conversation began. The recorded service app had scopes, but no role."""
    clock = [conversation[0].at]
    scopes = tuple(str(conversation[0].sent["scope"]).split()) if "/oauth2/" in conversation[0].path else ()
    settings = Settings(index_lag_seconds=0, apps=(app(dpop=True, role="none", scopes=scopes),))
    hooks = httpx2.ASGITransport(_receiver)
    async with in_process(settings, clock=lambda: clock[0], hook_transport=hooks) as (simulator, okta):
        stage = Stage(simulator, okta, clock)
        stage.set_the_scene(conversation)
        yield stage


async def _receiver(scope: Any, receive: Any, send: Any) -> None:
    challenge = Request(scope).headers.get("x-okta-verification-challenge", "")
    await JSONResponse({"verification": challenge})(scope, receive, send)


def _before(conversation: list[Exchange], made: set[str]) -> list[tuple[str, dict[str, Any]]]:
    """What the answers show or the paths name, and nobody made meanwhile: ids, and all that is known of each."""
    known = {row["id"]: row for each in reversed(conversation) for row in each.rows if _has_id(row)}
    good = [each for each in conversation if each.status != 404]
    named = [key for each in good for key in ID.findall(each.path)]
    keys = dict.fromkeys(key for key in (*known, *named) if key not in made and key.startswith(("00u", "00g")))
    rows = [(key, known.get(key, {})) for key in keys]
    return sorted(rows, key=lambda each: str(each[1].get("created", "9")))


def _body(exchange: Exchange) -> Any:
    """What was sent; where the recorder left it out, what would have the recorded answer."""
    if exchange.sent is not None or exchange.method == "GET" or not isinstance(exchange.body, dict):
        return exchange.sent
    answer, path = copy.deepcopy(exchange.body), exchange.path
    if re.search(r"/eventHooks(/\w+)?$", path):
        answer["channel"]["config"]["authScheme"]["value"] = SECRET
        return {name: answer[name] for name in ("name", "events", "channel")}
    if re.search(r"/(users|groups)(/\w+)?$", path) and "profile" in answer:
        return {"profile": answer["profile"], "credentials": _secrets(answer.get("credentials", {}))}
    if path.endswith("/change_password"):
        return {"oldPassword": {"value": SECRET}, "newPassword": {"value": SECRET}}
    if path.endswith("/change_recovery_question"):
        return _secrets(answer)
    return None


def _secrets(credentials: dict[str, Any]) -> dict[str, Any]:
    """What has to be sent to have these credentials shown."""
    sent = {
        "password": {"value": SECRET},
        "recovery_question": {**credentials.get("recovery_question", {}), "answer": SECRET},
    }
    return {name: value for name, value in sent.items() if name in credentials}


def _profile(name: str) -> dict[str, str]:
    login = f"{name}@example.com"
    return {"firstName": "Some", "lastName": "Body", "login": login, "email": login}


def _has_id(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), str)


def _seconds(stamp: str) -> float:
    return milliseconds(stamp) / 1000


def _next(links: list[str]) -> str | None:
    """The cursor of the next page."""
    found = next((CURSOR.search(link) for link in ", ".join(links).split(", <") if 'rel="next"' in link), None)
    return found[1] if found else None
