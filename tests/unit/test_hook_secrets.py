"""The secrets of the hook while they are rotated: what is valid, when, and for whom the record is readable."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rosterhook import private_files
from rosterhook.config import HookConfig
from rosterhook.errors import StoreError
from rosterhook.hook_secrets import (
    HookRecord,
    HookSecrets,
    Retired,
    Rotation,
    accepted,
    digest_of,
    in_force,
    read_record,
    record_path,
    write_record,
)

HOOK = HookConfig(secret="configured")


class Clock:
    """A time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_without_a_record_the_configuration_decides(tmp_path: Path) -> None:
    """Before the first rotation the configured secrets are valid, and nothing is written."""
    several = HookConfig(secret="one", secrets=("two", "one"))
    assert HookSecrets(several, tmp_path).valid == (b"one", b"two")
    assert in_force(several, read_record(tmp_path)) == "one"
    assert list(tmp_path.iterdir()) == []


def test_record_survives_as_it_was_written(tmp_path: Path) -> None:
    """What one process writes another reads, whole."""
    record = HookRecord(
        "who1", "https://h.example", "s", Rotation("n", "rosterhook 2", None, True), {"d": Retired(5.0, "s")}
    )
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert [path.name for path in tmp_path.iterdir()] == ["hook.json"]


def test_record_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Nobody else on the machine can read a secret."""
    write_record(tmp_path / "new", HookRecord(secret="s"))
    assert stat.S_IMODE(record_path(tmp_path / "new").stat().st_mode) == 0o600


def test_record_never_shows_a_secret() -> None:
    """A record in a log or a traceback tells no secret."""
    assert "hidden" not in repr(HookRecord(secret="hidden-1", rotation=Rotation("hidden-2", "name")))


def test_both_secrets_are_valid_while_rotating(tmp_path: Path) -> None:
    """From the first step of a rotation to its last, Okta's old and new secret both open the door."""
    secrets = HookSecrets(HOOK, tmp_path)
    write_record(tmp_path, HookRecord(rotation=Rotation("new", "rosterhook 2")))
    assert secrets.refresh()
    assert secrets.valid == (b"configured", b"new")
    assert not secrets.refresh()


def test_retired_secret_is_refused_after_its_time(tmp_path: Path) -> None:
    """Deliveries that were on the way keep their secret; after the time of grace it is refused, though configured."""
    clock = Clock()
    secrets = HookSecrets(HOOK, tmp_path, clock)
    write_record(tmp_path, HookRecord(secret="new", retired={digest_of("configured"): Retired(clock.now + 600)}))
    secrets.refresh()
    assert secrets.valid == (b"configured", b"new")
    clock.now += 601
    assert secrets.refresh()
    assert secrets.valid == (b"new",)


def test_secret_that_its_owner_changes_is_valid_again(tmp_path: Path) -> None:
    """A new value in the configuration is its owner's word, whatever was rotated before."""
    record = HookRecord(secret="rotated", retired={digest_of("configured"): Retired(0.0)})
    assert in_force(HOOK, record) == "rotated"
    changed = HookConfig(secret="changed")
    assert in_force(changed, record) == "changed"
    assert accepted(changed, record, 1.0) == (b"changed", b"rotated")


def test_record_that_is_moved_away_locks_nobody_out(tmp_path: Path) -> None:
    """As long as the web process runs, what was valid stays so: Okta still sends the rotated secret."""
    write_record(tmp_path, HookRecord(secret="rotated", retired={digest_of("configured"): Retired(0.0)}))
    secrets = HookSecrets(HOOK, tmp_path)
    record_path(tmp_path).unlink()
    assert not secrets.refresh()
    assert secrets.valid == (b"rotated",)


def test_record_whose_reading_failed_is_read_once_it_can_be(tmp_path: Path) -> None:
    """A command ran as root and left a record that the service may not read: after `chown` or `chmod` it is read."""
    secrets = HookSecrets(HOOK, tmp_path)
    record_path(tmp_path).mkdir()
    assert not secrets.refresh()
    record_path(tmp_path).rmdir()
    write_record(tmp_path, HookRecord(secret="rotated"))
    assert secrets.refresh()


def test_what_root_writes_belongs_to_the_owner_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo rosterhook hook rotate` must not leave a record that the service cannot read."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(private_files.os, "geteuid", lambda: 0)
    monkeypatch.setattr(private_files.os, "fchown", lambda _fd, uid, gid: given.append((uid, gid)))
    write_record(tmp_path, HookRecord(secret="s"))
    assert given == [(tmp_path.stat().st_uid, tmp_path.stat().st_gid)]


def test_draft_of_a_killed_command_is_replaced(tmp_path: Path) -> None:
    """What a kill in the middle of a write has left, secrets in it, is gone after the next write."""
    (tmp_path / ".hook.json.new").write_text('{"secret": "half')
    write_record(tmp_path, HookRecord(secret="s"))
    assert [path.name for path in tmp_path.iterdir()] == ["hook.json"]


def test_damaged_record_locks_nobody_out(tmp_path: Path) -> None:
    """A file that was torn by hand leaves the valid secrets as they were; a start with it is refused, untold."""
    secrets = HookSecrets(HOOK, tmp_path)
    record_path(tmp_path).write_text('{"secret": "half')
    assert not secrets.refresh()
    assert secrets.valid == (b"configured",)
    with pytest.raises(StoreError) as raised:
        HookSecrets(HOOK, tmp_path)
    assert "half" not in str(raised.value)
    assert "hook repair" in raised.value.hint
