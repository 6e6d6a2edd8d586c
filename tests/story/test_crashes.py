"""The main story: a busy org, deliveries that come twice and out of order, and processes that are killed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from harness import Org, Service, free_port, running, wait_until

from rosterhook.config.load import load_config
from rosterhook.targets.registry import opened_targets

USERS = 2000
CHANGES = 5000
#: Twice each process alone, and twice all of them at once.
KILLS = ["web", "web", "worker", "worker", "tree", "tree"]
SETTLE_SECONDS = 240

pytestmark = [pytest.mark.story, pytest.mark.timeout(600)]


def expected_rows(truth: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The default table as the org's own truth demands it: written apart from the product's mapping."""
    return {
        user["id"]: {
            "id": user["id"],
            "status": user["status"],
            "login": user["profile"].get("login"),
            "email": user["profile"].get("email"),
            "first_name": user["profile"].get("firstName"),
            "last_name": user["profile"].get("lastName"),
            "mobile_phone": user["profile"].get("mobilePhone"),
            "created": user["created"],
            "last_updated": user["lastUpdated"],
        }
        for user in truth["users"]
    }


async def rows_of(service: Service) -> dict[str, dict[str, Any]]:
    """What the target holds, by user."""
    async with opened_targets(load_config(service.config, environ={}, cwd=service.folder).targets) as targets:
        return {str(row["id"]): dict(row) async for row in targets[0].snapshot()}


@pytest.mark.parametrize("any_url", ["sqlite_url", "postgres_url", "mariadb_url"], indirect=True)
async def test_target_equals_the_org_after_crashes(tmp_path: Path, any_url: str) -> None:
    """2,000 users and 5,000 changes with duplicates, reordering and six SIGKILLs: the target equals the org exactly."""
    port = free_port()
    org = Org(
        *("--patient", "--announce", "--users", str(USERS), "--rate-multiplier", "30", "--seed", "7"),
        *("--hook-url", f"http://127.0.0.1:{port}/okta/events"),
    )
    service = Service(tmp_path, org, f'url = "{any_url}"\nhold_percent = 100', port=port)
    try:
        org.ask("faults", duplicate=0.1, reorder=0.1)
        with running(service):
            # Nobody hears of what happens before the org has verified the hook.
            wait_until(org.hears, 60, lambda: service.output[-2000:])
            _live_through_kills(org, service)
            wait_until(org.quiet, 120, lambda: f"{org.ask('traffic')} {service.output[-2000:]}")
            wait_until(service.settled, SETTLE_SECONDS, lambda: f"{service.status()} {service.output[-2000:]}")
            status = service.status()
        traffic = org.ask("traffic")
        assert traffic["deliveries"]["sent"] == traffic["deliveries"]["acknowledged"], traffic
        assert hooked(service) == traffic["events"], f"{traffic} {status} {org.process.output}"
        _compare(org.ask("truth"), await rows_of(service), status, service)
    finally:
        org.close()


def hooked(service: Service) -> int:
    """How many events the hook has brought."""
    events = json.loads(service.command("events", "--json").stdout)
    return sum(event["arrivals"]["hook"] > 0 for event in events)


def _live_through_kills(org: Org, service: Service) -> None:
    dice = random.Random(11)
    kills = dice.sample(KILLS, len(KILLS))
    org.ask("traffic", changes=CHANGES, seed=3, per_second=150)
    moments = sorted(dice.uniform(0.05, 0.9) * CHANGES for _ in kills)
    for name, moment in zip(kills, moments, strict=True):
        wait_until(lambda moment=moment: org.ask("traffic")["done"] >= moment, 120, lambda: str(org.ask("traffic")))
        service.kill(name)
        service.wait_up()


def _compare(truth: dict[str, Any], rows: dict[str, dict[str, Any]], status: dict[str, Any], service: Service) -> None:
    deleted = {key: row for key, row in rows.items() if row["status"] == "DELETED"}
    alive = {key: row for key, row in rows.items() if key not in deleted}
    expected = expected_rows(truth)
    assert len(expected) > USERS * 0.9
    wrong = [key for key in alive.keys() | expected.keys() if alive.get(key) != expected.get(key)]
    assert wrong == [], json.dumps([_told_of(key, rows, expected, service) for key in wrong[:3]], indent=1)
    assert set(deleted) <= set(truth["deleted"])
    assert status["events"]["duplicates"] > 0
    assert status["deliveries"]["quarantined"] == status["subjects"]["parked"] == status["targets"][0]["parked"] == 0
    assert status["users"]["total"] == len(expected)


def _told_of(key: str, rows: dict[str, Any], expected: dict[str, Any], service: Service) -> dict[str, Any]:
    """All that is known of a user who is wrong, to find out why."""
    users = json.loads(service.command("users", "--json").stdout)
    return {
        "row": rows.get(key),
        "expected": expected.get(key),
        "held": [user for user in users if user["id"] == key],
        "events": json.loads(service.command("events", "--user", key, "--json").stdout),
        "parked": json.loads(service.command("parked", "--json").stdout),
    }
