"""The contract of targets, as tests that any target's own tests can inherit."""
# ruff: noqa: S101  (these are tests)

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rosterhook.config import DEFAULT_COLUMNS, Policy
from rosterhook.mapping import resolve
from rosterhook.model import DELETED, DEPROVISIONED, SUSPENDED, Change, Delivered, Drift, Park
from rosterhook.targets import Row, Target
from rosterhook.testing.users import change_of, deletion_of, user_of

#: No store of text can hold this: half of a surrogate pair.
NO_TEXT = "\ud800"
NASTY = 'Zoë 😀 O\'Brien "x"; DROP TABLE users; -- %s :id \\ ${} 中文 \u200f'

#: Batches as they may arrive: for each a few users, by number, with the order of the change.
BATCHES = st.lists(
    st.dictionaries(st.integers(0, 3), st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=8
)


class TargetContract:
    """What every target promises. Subclass it as `Test...`, and give it `make_target`.

    A target that itself refuses what is older than what it holds is a subclass of RefusesOlder too, and one that
    can show a user's status, so that the policy "mark" is possible, of ShowsStatus.

    Attributes:
        columns: key of a snapshot's row to the attribute of the Okta user that it shows.
        big_batch: users in the test of a big batch.
    """

    pytestmark = pytest.mark.asyncio

    columns: ClassVar[Mapping[str, str]] = DEFAULT_COLUMNS
    big_batch: ClassVar[int] = 2000

    async def make_target(self, **policies: Policy) -> Target:
        """A target on a store that is empty when a test begins; a second one in the same test may share it.

        Args:
            policies: `deactivated`, `suspended` and `deleted`, where a test needs a certain one.
        """
        raise NotImplementedError

    def bad(self, change: Change) -> Change:
        """The same change with a value that this target cannot hold."""
        profile = {**change.user["profile"], "firstName": NO_TEXT}  # type: ignore[dict-item]
        return Change(change.user_id, change.order, {**change.user, "profile": profile}, change.deleted)

    @asynccontextmanager
    async def opened(self, **policies: Policy) -> AsyncIterator[Target]:
        """A target that is closed at the end."""
        target = await self.make_target(**policies)
        try:
            yield target
        finally:
            await target.aclose()

    async def seen(self, target: Target) -> dict[str, dict[str, object]]:
        """What the target shows, by Okta's id."""
        key = next(column for column, path in self.columns.items() if path == "id")
        rows = [row async for row in target.snapshot()]
        assert len({row[key] for row in rows}) == len(rows), "a user is in two rows"
        return {str(row[key]): {column: row[column] for column in self.columns} for row in rows}

    async def rows(self, target: Target) -> dict[str | None, Row]:
        """The rows of a snapshot, by the key that the target reads from each."""
        return {target.key_of(row): row async for row in target.snapshot()}

    async def drifts(self, target: Target, *changes: Change) -> list[Drift | None]:
        """How the target's rows differ from what the changes demand."""
        rows = await self.rows(target)
        return await target.drift([(change, rows.get(change.user_id)) for change in changes])

    def column_of(self, path: str) -> str:
        """The key of a snapshot's row that shows this attribute."""
        return next(column for column, shown in self.columns.items() if shown == path)

    def expected(self, *changes: Change) -> dict[str, dict[str, object]]:
        """What the target should show when each of the changes is true."""
        return {c.user_id: {k: resolve(c.user, path) for k, path in self.columns.items()} for c in changes}

    async def test_an_empty_store_accepts_users(self) -> None:
        """A check of a good target finds no problem, and writes nothing."""
        async with self.opened() as target:
            assert (await target.check()).problems == []
            assert await self.seen(target) == {}

    async def test_users_are_created_and_updated(self) -> None:
        """What was delivered is what the target shows, and the last delivery wins."""
        first = [change_of("u1"), change_of("u2")]
        second = change_of("u1", 2, firstName="Grace", mobilePhone="+1 555 0100")
        async with self.opened() as target:
            assert [type(o) for o in await target.deliver(first)] == [Delivered, Delivered]
            assert await self.seen(target) == self.expected(*first)
            assert isinstance((await target.deliver([second]))[0], Delivered)
            assert await self.seen(target) == self.expected(second, first[1])

    async def test_a_value_that_is_gone_is_cleared(self) -> None:
        """An attribute that the user no longer has is empty in the target."""
        async with self.opened() as target:
            await target.deliver([change_of("u1", mobilePhone="1")])
            await target.deliver([change_of("u1", 2)])
            assert await self.seen(target) == self.expected(change_of("u1", 2))

    async def test_repeating_changes_nothing(self) -> None:
        """The same changes again leave the target as it is, and count as delivered."""
        changes = [change_of(f"u{n}") for n in range(5)]
        async with self.opened() as target:
            await target.deliver(changes)
            outcomes = await target.deliver(changes)
            assert [type(outcome) for outcome in outcomes] == [Delivered] * 5
            assert await self.seen(target) == self.expected(*changes)

    async def test_a_bad_user_hinders_no_other(self) -> None:
        """A user who cannot be written is parked with a reason, and everybody else is delivered."""
        changes = [change_of(f"u{n}") for n in range(7)]
        async with self.opened() as target:
            outcomes = await target.deliver([*changes[:3], self.bad(changes[3]), *changes[4:]])
            kinds = [Delivered] * 3 + [Park] + [Delivered] * 3
            assert [type(outcome) for outcome in outcomes] == kinds
            assert isinstance(parked := outcomes[3], Park)
            assert parked.why
            assert await self.seen(target) == self.expected(*changes[:3], *changes[4:])

    async def test_outcomes_come_in_order(self) -> None:
        """There is one outcome for each change, in the order of the changes."""
        changes = [change_of(f"u{n:02}") for n in range(20)]
        mixed = [self.bad(one) if n % 3 == 0 else one for n, one in enumerate(changes)][::-1]
        async with self.opened() as target:
            outcomes = await target.deliver(mixed)
            assert [isinstance(outcome, Park) for outcome in outcomes] == [n % 3 == 0 for n in range(20)][::-1]
            assert await target.deliver([]) == []

    async def test_any_text_survives(self) -> None:
        """Emoji, quotes and the signs of SQL are only text."""
        change = change_of("u1", firstName=NASTY, lastName="", mobilePhone=" ' ")
        async with self.opened() as target:
            assert isinstance((await target.deliver([change]))[0], Delivered)
            assert await self.seen(target) == self.expected(change)

    async def test_a_big_batch_is_written_whole(self) -> None:
        """Thousands of users in one call are all written."""
        changes = [change_of(f"u{n:06}") for n in range(self.big_batch)]
        async with self.opened() as target:
            outcomes = await target.deliver(changes)
            assert all(isinstance(outcome, Delivered) for outcome in outcomes)
            assert await self.seen(target) == self.expected(*changes)

    async def test_delete_removes_the_row(self) -> None:
        """Under "delete" a user's row goes, a user who was never there is fine, and a later return is written."""
        async with self.opened(deleted="delete", deactivated="delete", suspended="delete") as target:
            await target.deliver([change_of(f"u{n}") for n in range(4)])
            gone = [
                change_of("u1", 2, status=DEPROVISIONED),
                change_of("u2", 2, status=SUSPENDED),
                deletion_of("u3", 2),
                deletion_of("never", 2),
            ]
            assert [type(outcome) for outcome in await target.deliver(gone)] == [Delivered] * 4
            assert await self.seen(target) == self.expected(change_of("u0"))
            await target.deliver([change_of("u1", 3)])
            assert set(await self.seen(target)) == {"u0", "u1"}

    async def test_keep_leaves_the_row(self) -> None:
        """Under "keep" a row stays exactly as it was, and none is made."""
        async with self.opened(deleted="keep", deactivated="keep", suspended="keep") as target:
            before = [change_of(f"u{n}") for n in range(3)]
            await target.deliver(before)
            after = [
                change_of("u0", 2, status=DEPROVISIONED, firstName="X"),
                change_of("u1", 2, status=SUSPENDED, firstName="X"),
                deletion_of("u2", 2),
                change_of("new", 2, status=SUSPENDED),
                deletion_of("never", 2),
            ]
            assert [type(outcome) for outcome in await target.deliver(after)] == [Delivered] * 5
            assert await self.seen(target) == self.expected(*before)

    async def test_a_row_names_its_user(self) -> None:
        """Each row of a snapshot has the id of the user that it is of, as Okta writes it."""
        ids = ["00u0000000000000aAzZ", "00u0000000000000AaZz", "00u1"]
        async with self.opened() as target:
            await target.deliver([change_of(user_id) for user_id in ids])
            assert set(await self.rows(target)) == set(ids)

    async def test_what_was_delivered_does_not_differ(self) -> None:
        """After a delivery nothing has drifted, whatever was in it; an empty store lacks nobody who is gone."""
        changes = [change_of("u0"), change_of("u1", firstName=NASTY, lastName="", mobilePhone=" ' "), change_of("u2")]
        async with self.opened() as target:
            assert await self.drifts(target, deletion_of("never", 1)) == [None]
            await target.deliver(changes)
            assert await self.drifts(target, *changes) == [None] * 3
            assert await target.drift([]) == []

    async def test_a_row_that_was_edited_has_drifted(self) -> None:
        """A value that is not as wanted is told with what is held and what is wanted, and no other value is."""
        name, mobile = self.column_of("profile.firstName"), self.column_of("profile.mobilePhone")
        before, after = change_of("u1"), change_of("u1", 2, firstName="Grace", mobilePhone="1")
        async with self.opened() as target:
            await target.deliver([before, change_of("u2")])
            found = await self.drifts(target, change_of("u2"), after)
            assert found == [None, Drift("changed", {name: ("Ada", "Grace"), mobile: (None, "1")})]
            row = {**(await self.rows(target))["u1"], name: "Edited"}
            assert await target.drift([(before, row)]) == [Drift("changed", {name: ("Edited", "Ada")})]
            await target.deliver([after])
            assert await self.drifts(target, after) == [None]

    async def test_a_row_that_was_removed_is_missing(self) -> None:
        """A user whose row is not there is told with every value that a delivery would write."""
        name = self.column_of("profile.firstName")
        async with self.opened() as target:
            for _ in range(2):  # before the store has anything, and afterwards
                [found] = await self.drifts(target, change_of("u1"))
                assert found is not None
                assert found.kind == "missing"
                await target.deliver([change_of("u2")])
            assert found is not None
            assert found.fields[name] == (None, "Ada")
            await target.deliver([change_of("u1")])
            assert await self.drifts(target, change_of("u1")) == [None]

    async def test_a_value_that_cannot_be_held_is_no_drift(self) -> None:
        """What no delivery would mend is none: the user is parked with the reason, and not found anew each night."""
        async with self.opened() as target:
            await target.deliver([change_of("u1")])
            assert await self.drifts(target, self.bad(change_of("u1", 2))) == [None]

    async def test_under_delete_a_row_of_somebody_who_left_is_surplus(self) -> None:
        """Under "delete" a row of who may not sign in any more is too many, and the lack of one is right."""
        async with self.opened(deleted="delete", deactivated="delete", suspended="delete") as target:
            await target.deliver([change_of(f"u{n}") for n in range(3)])
            left = [
                change_of("u0", 2, status=DEPROVISIONED),
                change_of("u1", 2, status=SUSPENDED),
                deletion_of("u2", 2),
            ]
            found = await self.drifts(target, *left)
            assert [drift and drift.kind for drift in found] == ["surplus"] * 3
            assert found[0] is not None
            assert found[0].fields[self.column_of("profile.firstName")] == ("Ada", None)
            await target.deliver(left)
            assert await self.drifts(target, *left) == [None] * 3

    async def test_under_keep_no_row_of_somebody_who_left_differs(self) -> None:
        """Under "keep" a row of who may not sign in any more is right as it is, and so is the lack of one."""
        async with self.opened(deleted="keep", deactivated="keep", suspended="keep") as target:
            await target.deliver([change_of(f"u{n}") for n in range(3)])
            left = [
                change_of("u0", 2, status=DEPROVISIONED, firstName="X"),
                change_of("u1", 2, status=SUSPENDED, firstName="X"),
                deletion_of("u2", 2),
                change_of("new", 2, status=SUSPENDED),
                deletion_of("never", 2),
            ]
            assert await self.drifts(target, *left) == [None] * 5

    async def test_closing_twice_is_safe(self) -> None:
        """A target can be closed twice, also when it was never used."""
        unused = await self.make_target()
        await unused.aclose()
        await unused.aclose()
        target = await self.make_target()
        await target.deliver([change_of("u1")])
        await target.aclose()
        await target.aclose()

    async def test_calls_may_overlap(self) -> None:
        """Calls that run at the same time are all written."""
        calls = [[change_of(f"u{k}{n:03}") for n in range(60)] for k in range(6)]
        async with self.opened() as target:
            answers = await asyncio.gather(*(target.deliver(call) for call in calls))
            assert all(isinstance(outcome, Delivered) for answer in answers for outcome in answer)
            assert await self.seen(target) == self.expected(*(one for call in calls for one in call))


class ShowsStatus(TargetContract):
    """What a target promises that can show a user's status."""

    async def test_mark_tells_the_status(self) -> None:
        """Under "mark" the status is written; of a deleted user the rest of the row stays, and none is made."""
        async with self.opened(deleted="mark", deactivated="mark", suspended="mark") as target:
            await target.deliver([change_of(f"u{n}") for n in range(3)])
            off = change_of("u0", 2, status=DEPROVISIONED, firstName="Off")
            stopped = change_of("u1", 2, status=SUSPENDED)
            late = change_of("late", 1, status=DEPROVISIONED)
            await target.deliver([off, stopped, deletion_of("u2", 2), late, deletion_of("never", 2)])
            marked = Change("u2", 2, user_of("u2", status=DELETED))
            assert await self.seen(target) == self.expected(off, stopped, marked, late)
            back = change_of("u2", 3)
            await target.deliver([back])
            assert await self.seen(target) == self.expected(off, stopped, back, late)

    async def test_a_mark_that_was_taken_away_has_drifted(self) -> None:
        """Under "mark" the status of who left is compared; of a deleted user nothing else is, and no row is missed."""
        status = self.column_of("status")
        async with self.opened(deleted="mark", deactivated="mark", suspended="mark") as target:
            await target.deliver([change_of(f"u{n}", firstName="X") for n in range(3)])
            off, stopped = change_of("u0", 2, status=DEPROVISIONED, firstName="X"), change_of("u1", 2, status=SUSPENDED)
            gone, never = deletion_of("u2", 2), deletion_of("never", 2)
            found = await self.drifts(target, off, stopped, gone, never)
            assert found[0] == Drift("changed", {status: ("ACTIVE", DEPROVISIONED)})
            assert found[1] is not None
            assert set(found[1].fields) == {status, self.column_of("profile.firstName")}
            assert found[2:] == [Drift("changed", {status: ("ACTIVE", DELETED)}), None]
            await target.deliver([off, stopped, gone, never])
            assert await self.drifts(target, off, stopped, gone, never) == [None] * 4
            [late] = await self.drifts(target, change_of("late", status=DEPROVISIONED))
            assert late is not None
            assert (late.kind, late.fields[status]) == ("missing", (None, DEPROVISIONED))


class RefusesOlder(TargetContract):
    """What a target promises that itself refuses what is older than what it holds."""

    async def test_older_never_wins(self) -> None:
        """A change that is older than what the target holds changes nothing and counts as delivered."""
        newer, older = change_of("u1", 2, firstName="New"), change_of("u1", 1, firstName="Old")
        async with self.opened() as target:
            await target.deliver([newer])
            assert isinstance((await target.deliver([older]))[0], Delivered)
            assert await self.seen(target) == self.expected(newer)

    async def test_an_older_deletion_removes_nothing(self) -> None:
        """A deletion that is older than what the target holds leaves the row."""
        newer = change_of("u1", 5)
        async with self.opened(deleted="delete") as target:
            await target.deliver([newer])
            await target.deliver([deletion_of("u1", 4)])
            assert await self.seen(target) == self.expected(newer)

    async def test_calls_for_the_same_users_may_overlap(self) -> None:
        """Calls for the same users at the same time end as if one had come after the other."""
        calls = [[change_of(f"u{n:03}", order, firstName=f"v{order}") for n in range(60)] for order in range(1, 7)]
        async with self.opened() as target:
            answers = await asyncio.gather(*(target.deliver(call) for call in calls))
            assert all(isinstance(outcome, Delivered) for answer in answers for outcome in answer)
            assert await self.seen(target) == self.expected(*calls[-1])

    @given(batches=BATCHES)
    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    async def test_any_arrival_ends_in_the_newest(self, batches: list[dict[int, int]]) -> None:
        """However changes are repeated and reordered, the newest of each user is what stays."""
        prefix = uuid4().hex[:12]
        newest: dict[str, Change] = {}
        async with self.opened() as target:
            for batch in batches:
                changes = [change_of(f"{prefix}{n}", o, firstName=f"v{o}") for n, o in batch.items()]
                await target.deliver(changes)
                for one in changes:
                    if one.order >= newest.get(one.user_id, one).order:
                        newest[one.user_id] = one
            seen = await self.seen(target)
            assert {k: v for k, v in seen.items() if k.startswith(prefix)} == self.expected(*newest.values())
