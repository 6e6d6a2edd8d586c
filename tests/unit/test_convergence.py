"""Convergence: whatever happens in whatever order, the directory and the targets end equal to the org."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from convergence_org import User
from convergence_world import World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from rosterhook import sweeps

LOOPS = ("intake", "follower", "resolver", "sweeper", "app", "crm")
TARGETS = ("app", "crm")
WHATS = (
    "come", "update", "update", "delete", "suspend", "unsuspend", "deactivate", "activate", "delete", "membership",
    "import",
)  # fmt: skip
#: How a loop goes on: one step, all it can do, up to its next call outside, or until a commit goes wrong.
FATES = ("refused", "before", "after")
MODES = ("step", "idle", "idle", "idle", "hold", *FATES)
#: They are there from the beginning, at the head of Okta's list, and nobody touches them in Okta.
STAYING = 3
#: Of more than 20, a crowd that the list lacks would be lost access.
MOST_PEOPLE = 18
#: Okta's ids of people whom nobody knows, and a key of another program.
KEYS = {"stranger": "00uSTRANGER000000001", "other": "00uSTRANGER000000002", "foreign": "root"}

numbers = st.integers(0, 30)
few = st.sets(numbers, max_size=2)
lags = st.lists(st.sampled_from((0, 1, 1, 2)), min_size=1, max_size=3)
#: Who (few, so that much happens to each), what, how long after the last, announced, late in the log, and how long
#: after it the same user is updated once more.
Changes = list[tuple[int, str, int, bool, bool, int | None]]
changes = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(WHATS),
        st.sampled_from((0, 0, 300, 900, 1500, 3000, 70_000)),
        st.sampled_from((True, True, True, True, False)),
        st.sampled_from((False, False, True)),
        st.sampled_from((None, None, 0, 400, 2500)),
    ),
    min_size=1,
    max_size=6,
)
#: Which of the newest events a delivery brings: in any order, perhaps twice. What is never picked was dropped.
picks = st.lists(st.integers(0, 3) | st.integers(0, 11), max_size=6)
steps = st.lists(st.tuples(st.sampled_from(LOOPS), st.sampled_from(MODES), st.integers(0, 2)), min_size=1, max_size=8)
accidents = st.one_of(
    st.tuples(
        st.just("call"),
        st.sampled_from(("follower", "resolver", "resolver", "sweeper", *TARGETS)),
        st.sampled_from(("down", "later", "never", "place")),
    ),
    st.tuples(st.just("row"), st.sampled_from(TARGETS), numbers, st.sampled_from(("edit", "remove", "put", *KEYS))),
    st.tuples(st.just("kill"), st.booleans()),
    st.tuples(st.just("person"), st.booleans()),
)
policies = st.fixed_dictionaries(
    dict.fromkeys(("deactivated", "suspended", "deleted"), st.sampled_from(("mark", "mark", "delete", "keep")))
)


class Convergence(RuleBasedStateMachine):
    """Anything may happen to the org, to what lies between, and to the worker; at the end all sides are compared."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._failed = True
        self._before: dict[str, tuple[int, int, bool]] = {}
        self._foreign: dict[str, dict[str, object]] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do a piece of work, and see that nothing went back by it."""
        self._failed = True
        self._loop.run_until_complete(work)
        self._loop.run_until_complete(self._nothing_goes_back())
        self._failed = False

    @initialize(
        app=policies,
        crm=policies,
        hold_users=st.sampled_from((1, 20)),
        people=st.lists(st.booleans(), max_size=5),
        loaded=st.booleans(),
        lagging=st.fixed_dictionaries({"list": lags, "index": lags}),
        fates=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(FATES)), max_size=4),
    )
    def begin(
        self,
        app: dict[str, Any],
        crm: dict[str, Any],
        hold_users: int,
        people: list[bool],
        loaded: bool,
        lagging: dict[str, list[int]],
        fates: list[tuple[int, str]],
    ) -> None:
        """An org that has been there before, with or without the first load behind it.

        Args:
            fates: what happens to commits in the last stretch.
        """
        self._fates = fates
        self.world = World(Path(self._folder.name), {"app": app, "crm": crm}, hold_users)
        self.org = self.world.org
        self.org.staying, self.org.lags = STAYING, lagging
        for active in [True] * STAYING + people:
            self.org.create(active=active, announced=False)
        self.run(self.world.start())
        if loaded:
            self.run(self.world.settle())

    @rule(changes=changes, picks=picks, stored=st.lists(numbers, max_size=2))
    def people_change(self, changes: Changes, picks: list[int], stored: list[int]) -> None:
        """And the hook is called, and the log stores some rows that were late."""
        for pick, what, pause, announced, late, again in changes:
            self.world.now += pause
            others = self.org.order[STAYING:]
            if what == "import":
                self.org.tell_of_import(late=late)
            elif others and what != "come":
                user_id = others[pick % len(others)]
                self.org.change(user_id, what, announced=announced, late=late)
                if again is not None:
                    self.world.now += again
                    self.org.change(user_id, "update", announced=announced)
            elif len(self.org.history) < MOST_PEOPLE:
                self.org.create(active=pick > 1, announced=announced, late=late)
        for place in stored:
            self.org.store_late(place)
        self.run(self.world.hook(picks))

    @rule(
        name=st.sampled_from(("resolver", "resolver", "app", "app", "crm", "sweeper", "follower")),
        before=changes,
        after=changes,
        picks=picks,
        meanwhile=st.sampled_from(("", "all are listed", "it dies")),
    )
    def answer_grows_old(self, name: str, before: Changes, after: Changes, picks: list[int], meanwhile: str) -> None:
        """While one waits for an answer that is already made, the same people change again, and the others work.

        Or it dies there, and what it has sent lands behind what its successor has.
        """
        self.people_change(before, picks, [])
        for earlier in LOOPS[: LOOPS.index(name)]:
            self.run(self.world.work(earlier, "idle"))
        if name == "sweeper":
            self.run(self.world.order("backfill"))
        self.run(self.world.work(name, "hold"))
        again = [(one[0], *two[1:3], True, False, None) for one, two in zip(cycle(before), after, strict=False)]
        self.people_change(again, picks, [])
        if meanwhile == "it dies":
            self.run(self.world.crash())
        elif meanwhile == "all are listed":
            self.run(self.world.order("backfill"))
        for other in LOOPS:
            if other != name or meanwhile == "it dies":
                self.run(self.world.work(other, "idle"))
        self.run(self.world.land())
        self.run(self.world.step(name))

    @rule(listed=lags, indexed=lags, turn=numbers, hidden=few, unreached=few, page=st.integers(2, 3))
    def copies_are_wrong(
        self, listed: list[int], indexed: list[int], turn: int, hidden: set[int], unreached: set[int], page: int
    ) -> None:
        """List and index lag, by so many states of a user; people move between the list's pages, or are in none; and
        some are out of our role's reach.
        """
        self.org.lags = {"list": listed, "index": indexed}
        staying, others = self.org.order[:STAYING], self.org.order[STAYING:]
        turn %= len(others) + 1
        self.org.order = [*staying, *others[turn:], *others[:turn]]
        self.org.hidden = {others[pick % len(others)] for pick in hidden if others}
        self.org.unreached = {others[pick % len(others)] for pick in unreached if others}
        self.org.page = page

    @rule(steps=steps)
    def worker_works(self, steps: list[tuple[str, str, int]]) -> None:
        for name, mode, commits in steps:
            self.run(self.world.work(name, mode, commits))

    @rule(kind=st.sampled_from(("backfill", "reconcile", "reconcile")), steps=st.integers(0, 8))
    def sweep_is_ordered(self, kind: sweeps.Kind, steps: int) -> None:
        self.run(self.world.order(kind))
        for _ in range(steps):
            self.run(self.world.step("sweeper"))

    @rule(what=accidents)
    def something_happens(self, what: tuple[Any, ...]) -> None:
        """A call fails, the worker dies, a person decides, or a row is touched by somebody else's hand."""
        match what:
            case "call", where, how:
                self.world.trouble(where, how)
            case "kill", writes_land:
                self.run(self.world.crash())
                if writes_land:  # what it has sent to a target lands after its successor's start, if not much later
                    self.run(self.world.land())
            case "person", approves:
                self.run(self.world.decide(approve=approves))
            case "row", name, pick, how:
                self._touch(name, KEYS.get(how, self.org.order[pick % len(self.org.order)]), how)

    def _touch(self, name: str, key: str, how: str) -> None:
        rows = self.world.targets[name].rows
        if how == "remove":
            rows.pop(key, None)
        elif how != "edit":
            rows[key] = row_of({"id": key, "status": "ACTIVE", "profile": {"email": "put by hand"}})
        elif key in rows:
            rows[key]["first_name"] = "edited by hand"
        if how == "foreign":
            self._foreign[name] = dict(rows[key])

    def teardown(self) -> None:
        try:
            if not self._failed:
                self.run(self.compare())
        finally:
            if hasattr(self, "world"):
                self._loop.run_until_complete(self.world.close())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._folder.cleanup()

    async def compare(self) -> None:
        """By events and stale lists alone: all of whose last change an event told. After a reconcile: everybody."""
        await self.world.settle(self._fates)
        await self._compare_told()
        await self.world.order("backfill")
        await self.world.settle()
        await self._compare_told()
        self.org.catch_up()
        await self.world.order("reconcile", accept_missing=True)
        await self.world.settle()
        await self.world.accept_gone()
        await self.world.settle()
        await self._compare_directory(set())
        self._compare_targets()
        number = await self.world.order("reconcile")
        await self.world.settle()
        await self._read_report(number)

    async def _compare_told(self) -> None:
        excused = self.org.in_doubt() | await self.world.not_found()
        await self._compare_directory(excused - set(self.org.order[:STAYING]))

    async def _nothing_goes_back(self) -> None:
        """No copy gets older, nobody is taken for gone who is there, and nobody comes back who is gone."""
        truth, before = self.org.truth(), self._before
        held = await self.world.users()
        self._before = {key: (version, at, user is None) for key, (version, at, user) in held.items()}
        for user_id, (version, updated_ms, deleted) in self._before.items():
            was = before.get(user_id, (0, 0, False))
            assert version >= was[0], f"{user_id}: version {was[0]} became {version}"
            assert updated_ms >= was[1], f"{user_id} went back"
            assert deleted or not was[2], f"{user_id} came back"
            assert not (deleted and user_id in truth), f"{user_id} is not gone"

    async def _compare_directory(self, excused: set[str]) -> None:
        held, truth = await self.world.users(), self.org.truth()
        alive = {key: user for key, (_, _, user) in held.items() if user is not None}
        wanted = {key: canonical(user) for key, user in truth.items()}
        wrong = {key for key in alive.keys() | wanted.keys() if alive.get(key) != wanted.get(key)} - excused
        lost = {key for key in self.org.gone() - set(held) if key not in self.org.in_doubt()}
        for key in wrong | (lost - excused):
            raise AssertionError(f"{alive.get(key)} is held for {wanted.get(key)}: {await self.world.told(key)}")

    def _compare_targets(self) -> None:
        truth = self.org.truth()
        for name, target in self.world.targets.items():
            known = {*self.org.history, KEYS["stranger"], KEYS["other"]}
            for user_id in known:
                row = target.rows.get(user_id)
                assert is_right(target.policies, truth.get(user_id), row), f"{name}: {row} for {truth.get(user_id)}"
            others = {key: row for key, row in target.rows.items() if key not in known}
            assert others == ({KEYS["foreign"]: self._foreign[name]} if name in self._foreign else {})

    async def _read_report(self, number: int) -> None:
        sweep = await self.world.state.read(lambda db: sweeps.find(db, number))
        assert sweep and sweep.error is None
        assert sweep.report["equal"], sweep.report
        assert await self.world.rows(f"SELECT * FROM finding WHERE sweep = {number}") == []


def canonical(user: User) -> User:
    """A user as the directory is to hold them: told apart from the product's own words."""
    profile = {key: value for key, value in user["profile"].items() if value is not None}
    return {**user, "profile": profile}


def row_of(user: User) -> dict[str, object]:
    """The row that a user is to have."""
    profile = user["profile"]
    return {
        "id": user["id"],
        "status": user["status"],
        "login": profile.get("login"),
        "email": profile.get("email"),
        "first_name": profile.get("firstName"),
        "last_name": profile.get("lastName"),
        "mobile_phone": profile.get("mobilePhone"),
        "created": user.get("created"),
        "last_updated": user.get("lastUpdated"),
    }


def is_right(wanted: dict[str, str], user: User | None, row: dict[str, object] | None) -> bool:
    """Whether a row is what the policies demand. A row that is to be kept may be any, or none."""
    status = user["status"] if user else None
    policy = {None: wanted["deleted"], "DEPROVISIONED": wanted["deactivated"], "SUSPENDED": wanted["suspended"]}
    match policy.get(status, "mark"):
        case "keep":
            return True
        case "delete":
            return row is None
    if user is None:
        return row is None or row["status"] == "DELETED"
    return row == row_of(user)


@pytest.mark.timeout(600)
def test_everything_ends_equal_to_the_org() -> None:
    """In every run, whatever is late, lost, doubled, stale, refused or killed in it, all sides end equal to the org."""
    run_state_machine_as_test(
        Convergence,
        settings=settings(
            max_examples=120,
            derandomize=True,  # a failure must be the change's own; longer hunts take other seeds
            stateful_step_count=12,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
