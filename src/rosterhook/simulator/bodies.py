"""Reading the body of a request."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from rosterhook.simulator import errors


async def json_object(request: Request) -> dict[str, Any]:
    """The body, which must be a JSON object; an empty one is {}. Raises E0000003."""
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise errors.bad_body() from None
    if not isinstance(body, dict):
        raise errors.bad_body()
    return body
