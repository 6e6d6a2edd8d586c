"""Okta's own SDK for Python before a simulated org over TLS: an independent client that shares no code with us.

What it cannot parse a real org would not send, so the tests that use it hold the simulator against Okta from outside.
Three traits of SDK 3.4 are its own and shape what is here:

* its setting `sslContext` breaks (the client copies its configuration, and a TLS context cannot be copied), so its
  session is made here, with the simulator's certificate authority;
* a call gives a tuple of two or three, whose last entry is the error: `done` raises that;
* an error without a body is lost: the error is None, and only the answer's status tells (`test_official_sdk_access`).
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import aiohttp
import pytest
from okta.client import Client
from pydantic import BaseModel

from rosterhook.simulator import Settings, Simulator, running

#: What real orgs send and the SDK's models have no place for; everything else must arrive.
UNKNOWN_TO_THE_SDK = {
    "credentials.emails",  # recorded
    "_links.activate",  # of an event hook that is inactive; recorded
    "_links.delete",  # the same
    "_embedded.stats.hasAdminPrivilege",  # misspelt in Okta's description, which the models are made from
}

#: The simulator's calls cost nothing, but a test shall not meet the limits by chance.
GENEROUS = {"rate_multiplier": 100.0}


@contextlib.asynccontextmanager
async def org(**settings: Any) -> AsyncIterator[tuple[Simulator, Client]]:
    """An org over https, and an SDK that has its API token. Search sees every change at once."""
    chosen = {"tls": True, "index_lag_seconds": 0, **GENEROUS, **settings}
    async with running(Settings(**chosen)) as simulator, client(simulator) as okta:
        yield simulator, okta


@contextlib.asynccontextmanager
async def client(simulator: Simulator, **config: Any) -> AsyncIterator[Client]:
    """An SDK for this org; `config` comes on top of its address and its API token."""
    trusting = ssl.create_default_context(cafile=simulator.ca_file)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
        okta = _made({"orgUrl": simulator.url, "token": simulator.settings.token, **config})
        okta.get_request_executor().set_session(session)
        yield okta


def _made(config: dict[str, Any]) -> Client:
    # The SDK also reads the environment: neither a developer's own org nor a proxy has a place here.
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("OKTA_") or name in {"HTTP_PROXY", "HTTPS_PROXY"}]:
            environment.delenv(name)
        return Client(config)


async def done(call: Awaitable[tuple[Any, ...]]) -> Any:
    """What a call came to, after a look whether the SDK understood all of it. Raises the SDK's error."""
    *found, error = await call
    if error is not None:
        raise error
    data, answer = found
    if answer.raw_data:
        surprises = set(lost(json.loads(answer.raw_data), seen(data))) - UNKNOWN_TO_THE_SDK
        assert not surprises, f"the SDK did not understand {sorted(surprises)}"
    return data


def seen(value: Any) -> Any:
    """What the SDK understood of an answer, in the form of the answer, without nulls."""
    if isinstance(value, BaseModel):
        fields = {field.alias or name: getattr(value, name) for name, field in type(value).model_fields.items()}
        if "actual_instance" in fields:  # one of several models, in an envelope of the SDK's own
            return seen(fields["actual_instance"])
        return seen({**fields.pop("additional_properties", {}), **fields})
    if isinstance(value, dict):
        return {name: seen(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [seen(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return value.value if isinstance(value, Enum) else value


def lost(told: Any, understood: Any, path: str = "") -> Iterator[str]:
    """Where an answer tells something else than what was understood: the path of each such place."""
    if isinstance(told, dict) and isinstance(understood, dict):
        for name, value in told.items():
            yield from lost(value, understood.get(name), f"{path}.{name}".removeprefix("."))
    elif isinstance(told, list) and isinstance(understood, list) and len(told) == len(understood):
        for one, other in zip(told, understood, strict=True):
            yield from lost(one, other, path)
    elif told != understood:
        yield path


def wrong(simulator: Simulator, kind: str, model: BaseModel) -> set[str]:
    """Where a user or group of the SDK isn't what it is right now by the simulator's own account: the paths.

    Links do not count: a single one's answer has more of them than the truth has.
    """
    mine = seen(model)
    [real] = [seen(each) for each in simulator.truth(simulator.url)[kind] if each["id"] == mine["id"]]
    for each in (mine, real):
        each.pop("_links", None)
    real.pop("members", None)
    return {*lost(real, mine), *lost(mine, real)} - UNKNOWN_TO_THE_SDK
