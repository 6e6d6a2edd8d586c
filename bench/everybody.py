"""Everybody at once: the first load of a large org, and the reconcile of one where nothing differs.

The org answers at once, so that it is rosterhook that is measured; beside it, in turn, those who only read the list and
write a table: Okta's own SDK, a loop of one's own, and a ceiling that not even reads.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from bench import postgres
from bench.databases import ask, rows_in, sqlite_url
from bench.figures import Aim, Figure, ratio
from bench.listing import PAGE
from bench.processes import BenchError, Started, configure, output_of, part, process
from bench.progress import tell
from bench.scale import Scale

MEMORY_AIM = Aim("<=", 1.2)
CALLS_AIM = 1.02
SDK_AIM = Aim(">=", 3.0)
CEILING_AIM = Aim(">=", 0.4)
APART_AIM = Aim("<=", 60.0)
#: The users of the aim above.
APART_USERS = 1_000_000

POLL_SECONDS = 0.02
STEP_SECONDS = 120.0
#: Far slower than anything that is worth a figure.
LEAST_A_SECOND = 500
#: Points of the curve.
PARTS = 40
#: The SDK is slow: a part of the users tells its users a second as well.
SDK_PART = 4

TARGET = """
[reconcile]
at = ""

[[targets]]
name = "app"
type = "sql"
url = "{url}"
"""

_SWEEP = "SELECT phase, started_ms, phase_ms, finished_ms, error, report FROM sweep WHERE id = ?"
_DONE = "SELECT done_ms, count(*) FROM link WHERE state = 'ok' GROUP BY done_ms ORDER BY done_ms"

#: Gives the address of a target that is empty, and may lie in a folder.
Fresh = Callable[[Path], str]


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep that is done.

    Attributes:
        began_ms: when each phase began, in their order; "done" is the end.
    """

    began_ms: Mapping[str, int]
    report: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """All of it."""
        stamps = list(self.began_ms.values())
        return (stamps[-1] - stamps[0]) / 1000

    @property
    def reading_seconds(self) -> float:
        """The phase that reads Okta's list, page by page, into the directory."""
        first, after = list(self.began_ms.values())[:2]
        return (after - first) / 1000


@dataclass(frozen=True, slots=True)
class Loaded:
    """A first load, and the reconcile after it.

    Attributes:
        calls: of Okta's list, as the org counted them.
        peak_mb: the most memory that the worker had in the load, in 10^6 bytes.
        written_kb: into files, for each user, in 10^3 bytes; None where the system does not tell.
        held_after: seconds until each fortieth of the users was in the target.
    """

    users: int
    seconds: float
    calls: int
    peak_mb: float
    written_kb: float | None
    held_after: Sequence[float]
    reconcile: Swept

    @property
    def per_second(self) -> float:
        """Users a second, until the target held everybody."""
        return self.users / self.seconds


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """SQLite, then PostgreSQL if everything is measured and there is one."""
    yield from _into("sqlite", folder / "sqlite", scale, lambda home: sqlite_url(home / "users.db"))
    if not scale.is_full:
        return
    if not postgres.is_installed():
        tell("everybody: PostgreSQL is not installed, and left out")
        return
    with postgres.server(folder / "server") as url:

        def emptied(_home: Path) -> str:
            postgres.value(url, "DROP TABLE IF EXISTS users")
            return url

        yield from _into("postgresql", folder / "postgresql", scale, emptied)


def _into(kind: str, folder: Path, scale: Scale, fresh: Fresh) -> Iterator[Figure]:
    """A large org in rounds, beside the others; then a very large one."""
    ours: list[Loaded] = []
    others: dict[str, list[dict[str, float]]] = {}
    with _org(folder, scale.users) as org:
        for number in range(scale.rounds):
            tell(f"everybody: {scale.users:,} users into {kind}, round {number + 1} of {scale.rounds}")
            home = folder / str(number)
            ours.append(_load(home, org, scale.users, fresh(home)))
            for name, command, users in _others(kind, org.url, scale.users, home, fresh):
                others.setdefault(name, []).append(_told(command, home, users))
            shutil.rmtree(home)
    yield from _figures(kind, ours)
    yield from _beside(kind, ours, others)
    if scale.many_users:
        many = list(_many(kind, folder, scale, fresh))
        yield from _figures(kind, many)
        yield _memory(kind, many, ours)


def _many(kind: str, folder: Path, scale: Scale, fresh: Fresh) -> Iterator[Loaded]:
    with _org(folder, scale.many_users) as org:
        for number in range(scale.rounds):
            tell(f"everybody: {scale.many_users:,} users into {kind}, round {number + 1} of {scale.rounds}")
            home = folder / f"many-{number}"
            yield _load(home, org, scale.many_users, fresh(home))
            shutil.rmtree(home)


def _org(folder: Path, users: int) -> AbstractContextManager[Started]:
    return process(["bench.listing", "--users", str(users)], folder, r"listening on (\S+)")


def _load(home: Path, org: Started, users: int, target: str) -> Loaded:
    config = configure(home, org_url=org.url)
    config.write_text(config.read_text() + TARGET.format(url=target))
    state = home / "data" / "state.db"
    calls = _calls(org)
    with part("worker", config) as worker:
        first = _swept(state, 1, users)
        calls, peak_mb, written_kb = _calls(org) - calls, _peak_mb(worker), _written_kb(worker, users)
        again = _reconciled(config, state, users)
    if (held := rows_in(target)) != users:
        raise BenchError(f"the target holds {held:,} of {users:,} users")
    began_ms = first.began_ms["reading"]
    return Loaded(users, first.seconds, calls, peak_mb, written_kb, _held_after(state, began_ms, users), again)


def _reconciled(config: Path, state: Path, users: int) -> Swept:
    command = ["rosterhook", "reconcile", "--no-wait", "--json", "--config", str(config)]
    ordered = json.loads(output_of(command, config.parent, STEP_SECONDS))
    swept = _swept(state, ordered["id"], users)
    if not swept.report["equal"]:
        raise BenchError(f"the reconcile found what is not equal: {json.dumps(swept.report)}")
    return swept


def _swept(state: Path, number: int, users: int) -> Swept:
    """Wait for the end of a sweep. A phase that is shorter than a look at it counts to the one before."""
    end = time.monotonic() + STEP_SECONDS + users / LEAST_A_SECOND
    began_ms: dict[str, int] = {}
    phase = "none"
    while time.monotonic() < end:
        for phase, started_ms, phase_ms, finished_ms, error, report in ask(state, _SWEEP, (number,)):
            if phase == "failed":
                raise BenchError(f"the full read failed: {error}")
            if started_ms is not None:
                began_ms.setdefault("reading", started_ms)
                began_ms.setdefault(phase, phase_ms)
            if finished_ms is not None:
                return Swept(began_ms, json.loads(report))
        time.sleep(POLL_SECONDS)
    raise BenchError(f"the full read of {users:,} users is not over, but in the phase {phase!r}")


def _held_after(state: Path, began_ms: int, users: int) -> list[float]:
    """By the stamps that the store keeps: nothing need be counted while it runs."""
    held, after = 0, list[float]()
    for done_ms, count in ask(state, _DONE):
        held += count
        # An org of fewer users than points has some points at once.
        while len(after) < PARTS and held * PARTS >= (len(after) + 1) * users:
            after.append((done_ms - began_ms) / 1000)
    if held != users:
        raise BenchError(f"by the store, the target holds {held:,} of {users:,} users")
    return after


def _calls(org: Started) -> int:
    told = httpx2.get(f"{org.url}/_sim/calls", trust_env=False).raise_for_status().json()
    return int(told["by_bucket"].get("users", 0))


def _peak_mb(process: Started) -> float:
    """The most memory it has had; where the system does not tell it, what it has now."""
    status = Path(f"/proc/{process.pid}/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE) if status.exists() else None
    return int(found.group(1)) * 1024 / 1e6 if found else process.resident_mb()


def _written_kb(process: Started, users: int) -> float | None:
    """What it has written, for each user: the own store and SQLite's log; the target too, if that is a file."""
    counts = Path(f"/proc/{process.pid}/io")
    found = re.search(r"^wchar: (\d+)$", counts.read_text(), re.MULTILINE) if counts.exists() else None
    return int(found.group(1)) / users / 1e3 if found else None


def _others(kind: str, url: str, users: int, home: Path, fresh: Fresh) -> Iterator[tuple[str, list[str], int]]:
    """Name, command and users of all who do the same beside us. The target is made empty before each."""
    ceiling = ["bench.ceilings", "--users", str(users)]
    if kind == "postgresql":
        yield "ceiling", [*ceiling, "--postgresql", fresh(home)], users
        return
    pages = math.ceil(users / PAGE / SDK_PART)
    yield "ceiling", [*ceiling, "--sqlite", str(home / "ceiling.db")], users
    yield "httpx", ["bench.peers.httpx_loop", url, str(home / "httpx.db")], users
    sdk = ["bench.peers.sdk_loop", url, str(home / "sdk.db"), "--pages", str(pages)]
    yield "sdk", sdk, min(users, pages * PAGE)


def _told(command: list[str], folder: Path, users: int) -> dict[str, float]:
    told: dict[str, float] = json.loads(output_of(command, folder, STEP_SECONDS + users / LEAST_A_SECOND))
    if told["users"] != users:
        raise BenchError(f"{command[0]} read {told['users']:,} of {users:,} users")
    return told


def _figures(kind: str, loads: Sequence[Loaded]) -> Iterator[Figure]:
    users, name = loads[0].users, f"everybody/load/{loads[0].users}/{kind}"
    title = f"first load of {users:,} users into {kind}"
    calls = Aim("<=", CALLS_AIM * users / PAGE)
    yield Figure(f"{name}/rate", title, "/s", [each.per_second for each in loads])
    yield Figure(f"{name}/calls", f"{title}, calls of Okta's list", "", [each.calls for each in loads], calls)
    yield Figure(f"{name}/memory", f"{title}, the most memory", "MB", [each.peak_mb for each in loads])
    written = [each.written_kb for each in loads if each.written_kb is not None]
    if written:
        yield Figure(f"{name}/written", f"{title}, written to files for each user", "kB", written)
    usual = sorted(loads, key=lambda each: each.seconds)[len(loads) // 2]
    about = f"Of one load, after how many seconds each of {PARTS} equal parts of the users was in the target."
    yield Figure(f"{name}/held", f"{title}, until half of them are held", "s", usual.held_after, about=about)
    yield from _reconcile(kind, users, [each.reconcile for each in loads])


def _reconcile(kind: str, users: int, swept: Sequence[Swept]) -> Iterator[Figure]:
    name = f"everybody/reconcile/{users}" + ("" if kind == "sqlite" else f"/{kind}")
    title = f"reconcile of {users:,} users with {kind}, no change"
    apart = [each.seconds - each.reading_seconds for each in swept]
    usual = sorted(swept, key=lambda each: each.seconds - each.reading_seconds)[len(swept) // 2]
    stamps = list(usual.began_ms.items())
    lasted = [(one, (after - at) / 1000) for (one, at), (_, after) in pairwise(stamps)]
    about = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in lasted)
    aim = APART_AIM if users >= APART_USERS else None
    yield Figure(f"{name}/reading", f"{title}: reading the list", "s", [each.reading_seconds for each in swept])
    yield Figure(f"{name}/apart-from-paging", f"{title}: all but that", "s", apart, aim, about)


def _beside(kind: str, ours: Sequence[Loaded], others: Mapping[str, Sequence[dict[str, float]]]) -> Iterator[Figure]:
    """The others' users a second, and ours beside them."""
    titles = {"sdk": "Okta's SDK and an upsert", "httpx": "a loop of one's own", "ceiling": "parse and upsert alone"}
    aims = {"sdk": SDK_AIM, "ceiling": CEILING_AIM}
    for name, told in others.items():
        rates = [each["users"] / each["seconds"] for each in told]
        title = f"{titles[name]}, {told[0]['users']:,} users into {kind}"
        imports = [each["import_seconds"] for each in told if "import_seconds" in each]
        about = f"Without {median(imports):.1f} s to import it." if imports else ""
        yield Figure(f"everybody/{name}/{kind}/rate", title, "/s", rates, about=about)
        whole = f"rosterhook beside {titles[name]}, into {kind}"
        rates_of_ours = [each.per_second for each in ours]
        yield ratio(f"everybody/beside/{name}/{kind}", whole, rates_of_ours, rates, aims.get(name))


def _memory(kind: str, many: Sequence[Loaded], few: Sequence[Loaded]) -> Figure:
    name = "everybody/memory/ratio" + ("" if kind == "sqlite" else f"/{kind}")
    title = f"the most memory of {many[0].users:,} users beside that of {few[0].users:,}, into {kind}"
    return ratio(name, title, [each.peak_mb for each in many], [each.peak_mb for each in few], MEMORY_AIM)
