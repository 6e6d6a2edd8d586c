"""One API call: where it came in, what its path named, and how its answers are built."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.auth.principals import Principal
from rosterhook.simulator.views import alone
from rosterhook.simulator.world import Simulator


class Call(NamedTuple):
    """One API call.

    Attributes:
        base_url: where the org is, for links.
        args: what the path named.
        principal: who calls.
    """

    simulator: Simulator
    request: Request
    base_url: str
    args: tuple[str, ...]
    principal: Principal

    def user_answer(self, user: dict[str, Any]) -> Response:
        """A user."""
        return JSONResponse(alone(user, self.base_url))


Handler = Callable[[Call], Awaitable[Response]]


class Action(NamedTuple):
    """What a method does at a path.

    Attributes:
        bucket: the rate limit that counts the call (okta-facts 6.1).
        scope: what an OAuth app needs for it (Okta's API description names one for each operation).
    """

    handler: Handler
    bucket: str
    scope: str


class Path(NamedTuple):
    """A path below /api/v1, and what each method does there."""

    pattern: re.Pattern[str]
    methods: dict[str, Action]


def limit_of(text: str | None, default: int, most: int) -> int:
    """The `limit` of a list: a larger one than allowed is cut. Raises E0000001."""
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise errors.invalid("limit", "limit: must be a positive number")
    return min(int(text), most)


def link_headers(url: str, asked: Iterable[tuple[str, str]], here: str | None, following: str | None) -> list[str]:
    """`self` and `next` as header values of their own, in the recorded order of parameters.

    Args:
        url: of the list, without its query.
        asked: the parameters that all pages share.
        here: the cursor of this page, None on the first.
        following: the cursor of the next page, None on the last.
    """
    pages = {"self": [] if here is None else [("after", here)]}
    if following is not None:
        pages["next"] = [("after", following)]
    common = list(asked)
    return [f'<{url}?{urlencode([*after, *common])}>; rel="{rel}"' for rel, after in pages.items()]
