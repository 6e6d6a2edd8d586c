"""Rests between two reads of the same user."""

from __future__ import annotations

from rosterhook.rests import FIRST, LONGEST, REMEMBERED, Rests


def test_rests_grow_and_are_forgotten() -> None:
    """Each rest is twice as long as the one before, up to a longest; after twice as long without a read it is short."""
    rests, now = Rests(), 100.0
    assert rests.left("00u1", now) == 0
    seen = []
    for _ in range(5):
        rests.note("00u1", now)
        seen.append(rests.left("00u1", now))
        now += seen[-1]
        assert rests.left("00u1", now) == 0
    assert seen == [FIRST, 2 * FIRST, 4 * FIRST, LONGEST, LONGEST]
    rests.note("00u1", now + 2 * LONGEST)
    assert rests.left("00u1", now + 2 * LONGEST) == FIRST


def test_only_those_who_were_read_last_are_remembered() -> None:
    """However many users there are, memory is bounded, and it is the oldest who are forgotten."""
    rests = Rests()
    for number in range(REMEMBERED + 10):
        rests.note(f"00u{number}", 0.0)
    rests.note("00u10", 0.0)
    assert [rests.left(f"00u{number}", 0.0) for number in (0, 9, 10, REMEMBERED + 9)] == [0.0, 0.0, 2 * FIRST, FIRST]
