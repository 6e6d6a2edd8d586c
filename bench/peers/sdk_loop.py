"""Okta's own SDK, a program of its own: its loop over the pages of the list, an upsert for each.

`python -m bench.peers.sdk_loop URL FILE --pages 100` prints what it did as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.databases import UPSERT, Row, made
from rosterhook.okta.users import EVERYBODY

PAGE = 200


async def load(url: str, file: Path, pages: int) -> dict[str, float]:
    """Load so many pages; return how many users, the seconds, and apart from them the seconds of the SDK's import."""
    # The SDK takes no org without TLS but by its environment.
    os.environ["OKTA_TESTING_TESTINGDISABLEHTTPSCHECK"] = "true"
    began = time.perf_counter()
    from okta.client import Client
    from okta.pagination import paginate_pages

    ready = time.perf_counter()
    users = 0
    with closing(made(file)) as db:
        # As a context it keeps its connection, and so is as fast as it can be.
        async with Client({"orgUrl": url, "token": "sim-token"}) as client:
            found = paginate_pages(client.list_users, limit=PAGE, max_pages=pages, filter=EVERYBODY)
            async for page, _, _ in found:
                db.executemany(UPSERT, [_row(user) for user in page])
                db.commit()
                users += len(page)
    return {"users": users, "seconds": time.perf_counter() - ready, "import_seconds": ready - began}


def _row(user: Any) -> Row:
    profile = user.profile
    names = (profile.login, profile.email, profile.first_name, profile.last_name, profile.mobile_phone)
    return (user.id, user.status.value, *names, user.created.isoformat(), user.last_updated.isoformat(), 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.peers.sdk_loop")
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--pages", type=int, required=True, help="after so many it is enough")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(load(options.url, options.file, options.pages))))
