"""What one writes in an afternoon, a program of its own: a loop over the pages of Okta's list, an upsert for each.

`python -m bench.peers.httpx_loop URL FILE` prints what it did as one line of JSON. It keeps no place, looks at no rate
limit, and tells nobody who was changed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from bench.databases import UPSERT, made, row_of
from rosterhook.okta.users import EVERYBODY, USERS

PAGE = 200


async def load(url: str, file: Path) -> dict[str, float]:
    """Load everybody; return how many, the seconds, and apart from them the seconds of the client's import."""
    began = time.perf_counter()
    import httpx2

    ready = time.perf_counter()
    users = 0
    following: str | None = f"{url}{USERS}?{urlencode({'filter': EVERYBODY, 'limit': PAGE})}"
    headers = {"Authorization": "SSWS sim-token", "Accept": "application/json"}
    with closing(made(file)) as db:
        async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as client:
            while following:
                answer = (await client.get(following)).raise_for_status()
                rows = [row_of(user) for user in answer.json()]
                db.executemany(UPSERT, rows)
                db.commit()
                users += len(rows)
                following = answer.links.get("next", {}).get("url")
    return {"users": users, "seconds": time.perf_counter() - ready, "import_seconds": ready - began}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.peers.httpx_loop")
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(load(options.url, options.file))))
