"""Compares a target with the directory: every row of its snapshot, and every user who has none."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apsw

from rosterhook import sweeps
from rosterhook.directory import unpacked
from rosterhook.full_read import ask_for_stranger
from rosterhook.model import DELETED, DEPROVISIONED, ORG, Change, Clock, Drift
from rosterhook.proof import Total, token_of
from rosterhook.store.database import Database
from rosterhook.store.queries import rows, rows_many, run, run_many
from rosterhook.sweeps import Sweep
from rosterhook.targets import Row, Target

BATCH = 500
_OUT = (DEPROVISIONED, DELETED)
#: Okta's own ids of users. A row with another key is another program's, and never touched.
_OKTAS_ID = re.compile(r"00u[A-Za-z0-9]{17}")


class _User(NamedTuple):
    """A user as the directory holds them, and how far the target is."""

    id: str
    version: int
    digest: str
    change: Change
    state: str | None
    done: int | None
    done_ms: int | None

    @property
    def waits_for_a_person(self) -> bool:
        """The target refuses the user, or the removal is held or rejected: no delivery by itself mends that."""
        return self.state in ("parked", "held", "rejected")

    def is_moving(self, began_ms: int) -> bool:
        """Tell whether the target may have been about to write this user when the comparison began, or later."""
        if self.waits_for_a_person:
            return False
        return self.state != "ok" or self.done != self.version or (self.done_ms or 0) >= began_ms


@dataclass
class Comparison:
    """What was found in a target.

    Attributes:
        wanted, held: users whom the target should have, and has.
        changed, missing, surplus: rows that differ, lack, or are too many.
        foreign: rows that are no user's of Okta.
        waiting: users among them who are parked, held or rejected, and so wait for a person.
        moving: users who are being written meanwhile, and so were not compared.
        mended: rows that were put on the way to being mended.
    """

    wanted: Total = field(default_factory=Total)
    held: Total = field(default_factory=Total)
    changed: int = 0
    missing: int = 0
    surplus: int = 0
    foreign: int = 0
    waiting: int = 0
    moving: int = 0
    mended: int = 0

    @property
    def is_equal(self) -> bool:
        """Nothing differs, and nobody was being written."""
        return self.wanted == self.held and not (self.changed or self.missing or self.surplus or self.moving)

    def as_json(self) -> dict[str, Any]:
        """As reports show it."""
        names = ("changed", "missing", "surplus", "foreign", "waiting", "moving", "mended")
        counts = {name: getattr(self, name) for name in names}
        return {"equal": self.is_equal, "wanted": self.wanted.as_json(), "held": self.held.as_json(), **counts}


class Comparer:
    """Compares one target once.

    Args:
        mend: put what differs on the way to being mended.
        keep: keep what differs one by one, as findings.
        settled_only: leave out whom a dispatcher is about to write. Without a dispatcher, everybody is compared.
    """

    def __init__(
        self,
        state: Database,
        target: Target,
        sweep: Sweep,
        *,
        mend: bool,
        keep: bool,
        settled_only: bool,
        clock: Clock,
    ) -> None:
        self.found = Comparison()
        self._state = state
        self._target = target
        self._sweep = sweep
        self._mend = mend
        self._keeps = keep
        self._settled_only = settled_only
        self._clock = clock
        self._began_ms = 0

    async def run(self) -> Comparison:
        """Compare.

        Raises:
            TargetError: the target cannot be read.
        """
        mark = {"org": ORG, "target": self._target.name}
        await self._state.write(lambda db: run(db, "forget_seen", mark))
        self._began_ms = self._clock()
        async for batch in _batches(self._target.snapshot()):
            await self._compare_rows(batch)
        await self._compare_absent()
        await self._state.write(lambda db: run(db, "forget_seen", mark))
        return self.found

    async def _compare_rows(self, batch: Sequence[Row]) -> None:
        keyed = [(self._target.key_of(row), row) for row in batch]
        known = await self._state.read(lambda db: self._users(db, (key for key, _ in keyed if key is not None)))
        pairs = [(known[key], row) for key, row in keyed if key is not None and key in known]
        strangers = [(key, row) for key, row in keyed if key is None or key not in known]
        drifts = await self._target.drift([(user.change, row) for user, row in pairs])
        differing = [
            (user, found)
            for (user, row), drift in zip(pairs, drifts, strict=True)
            if (found := self._judged(user, row, drift)) is not None
        ]
        met = [user.id for user, _ in pairs]
        await self._state.write(lambda db: self._keep(db, met, differing, strangers))

    async def _compare_absent(self) -> None:
        after = ""
        while page := await self._state.read(lambda db, after=after: self._unseen(db, after)):  # type: ignore[misc]
            after = page[-1].id
            drifts = await self._target.drift([(user.change, None) for user in page])
            differing = [
                (user, found)
                for user, drift in zip(page, drifts, strict=True)
                if (drift or user.waits_for_a_person) and (found := self._judged(user, None, drift)) is not None
            ]
            await self._state.write(lambda db, found=differing: self._keep(db, [], found, []))  # type: ignore[misc]

    def _judged(self, user: _User, row: Row | None, drift: Drift | None) -> Drift | None:
        """The drift, unless the user is being written now; and both totals with the user in them.

        Who is gone is in neither, as in those of Okta and of the directory.
        """
        if drift is None and user.waits_for_a_person:
            drift = Drift("missing" if row is None else "changed", {})  # what the target refuses cannot be compared
        elif drift is not None and self._settled_only and user.is_moving(self._began_ms):
            self.found.moving += 1
            drift = None
        if not user.change.deleted:
            token = token_of(user.id, user.digest)
            if drift is None or drift.kind != "surplus":
                self.found.wanted.add_token(token)
            if drift is None:
                self.found.held.add_token(token)
            elif row is not None:
                self.found.held.add(user.id, json.dumps(dict(row), sort_keys=True))
        return drift

    def _keep(
        self,
        db: apsw.Connection,
        met: Sequence[str],
        differing: Sequence[tuple[_User, Drift]],
        strangers: Sequence[tuple[str | None, Row]],
    ) -> None:
        common = {"org": ORG, "target": self._target.name, "now": self._clock()}
        run_many(db, "see", [{**common, "id": user_id} for user_id in met])
        mendable = [(user.id, drift) for user, drift in differing if not user.waits_for_a_person]
        self.found.waiting += len(differing) - len(mendable)
        if self._mend:
            mends = [{**common, "user_id": user_id, "shown": int(_shows(drift))} for user_id, drift in mendable]
            run_many(db, "mend_link", mends)
            self.found.mended += len(mendable)
        self._tell(db, [(user.id, drift) for user, drift in differing])
        self._keep_strangers(db, strangers)

    def _keep_strangers(self, db: apsw.Connection, strangers: Sequence[tuple[str | None, Row]]) -> None:
        """Rows of whom the directory does not know. Okta is asked for each id of its own; the others are no business of
        ours.
        """
        surplus = [(key, row) for key, row in strangers if key is not None and _OKTAS_ID.fullmatch(key)]
        self.found.foreign += len(strangers) - len(surplus)
        if self._mend:
            for key, _ in surplus:
                ask_for_stranger(db, self._target.name, key, self._clock())
            self.found.mended += len(surplus)
        self._tell(db, [(key, Drift("surplus", {c: (item, None) for c, item in row.items()})) for key, row in surplus])

    def _tell(self, db: apsw.Connection, differing: Sequence[tuple[str, Drift]]) -> None:
        for kind in ("changed", "missing", "surplus"):
            found = [one for one in differing if one[1].kind == kind]
            already = int(getattr(self.found, kind))
            if self._keeps:
                sweeps.keep_findings(db, self._sweep, self._target.name, found, already)
            setattr(self.found, kind, already + len(found))

    def _users(self, db: apsw.Connection, keys: Iterable[str]) -> dict[str, _User]:
        asked = [{"org": ORG, "target": self._target.name, "id": key} for key in keys]
        return {row[0]: _user(*row) for row in rows_many(db, "find_linked", asked)}

    def _unseen(self, db: apsw.Connection, after: str) -> list[_User]:
        values = {"org": ORG, "target": self._target.name, "after": after, "limit": BATCH}
        return [_user(*row) for row in rows(db, "unseen_links", values)]


def _shows(drift: Drift) -> bool:
    """Tell whether the target shows somebody in service who shall not be."""
    if drift.kind == "missing":
        return False
    return drift.kind == "surplus" or any(wanted in _OUT for _, wanted in drift.fields.values())


def _user(
    user_id: str,
    version: int,
    digest: str,
    body: str,
    deleted_ms: int | None,
    state: str | None,
    done: int | None,
    done_ms: int | None,
) -> _User:
    change = Change(user_id, version, unpacked(body), deleted_ms is not None)
    return _User(user_id, version, digest, change, state, done, done_ms)


async def _batches(snapshot: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    batch: list[Row] = []
    async for row in snapshot:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
