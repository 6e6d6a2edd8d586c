"""Which secrets of the hook are valid: those of the configuration, and those that `rosterhook hook rotate` made.

A rotation cannot write a variable of the environment or a secret that Docker mounted. So it keeps its own secrets in
`data_dir/hook.json`, and there it also says which of the configured ones are retired.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import structlog

from rosterhook.config import HookConfig
from rosterhook.errors import StoreError
from rosterhook.private_files import replace_privately

#: How long a retired secret is still taken: Okta names no longest delay of a delivery, and calls an hour normal.
GRACE_SECONDS = 24 * 3600.0

log = structlog.get_logger("rosterhook.hook_secrets")


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation under way.

    Attributes:
        secret: the new one.
        name: of the second hook in Okta, that sends it; the first hook's own name when that one is replaced in place.
        hook_id: of that hook, once Okta has told it.
        in_place: there is no second hook: the first one gets the new secret.
        replaced: it has got it.
    """

    secret: str = field(repr=False)
    name: str
    hook_id: str | None = None
    in_place: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Retired:
    """A secret that is on its way out.

    Attributes:
        until: seconds since 1970 from when on it is refused.
        secret: kept for one that no configuration holds, until its time is over.
    """

    until: float
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HookRecord:
    """What `data_dir/hook.json` holds.

    Attributes:
        hook_id: Okta's id of the hook.
        url: its address, as given to `hook create`.
        secret: the one of the last rotation; None before the first.
        rotation: the one under way.
        retired: by the SHA-256 of each.
        sent: SHA-256 of the secret that Okta was last given; None when nobody knows.
        sent_ms: when, in milliseconds since 1970.
    """

    hook_id: str | None = None
    url: str | None = None
    secret: str | None = field(default=None, repr=False)
    rotation: Rotation | None = None
    retired: dict[str, Retired] = field(default_factory=dict)
    sent: str | None = None
    sent_ms: int = 0

    def hook_ids(self) -> frozenset[str]:
        """Okta's ids of the hooks that call us: two while a rotation is under way; none when they are not known."""
        ids = (self.hook_id, self.rotation.hook_id if self.rotation else None)
        return frozenset(each for each in ids if each is not None)

    def own_secrets(self) -> tuple[str, ...]:
        """Those that rotations made, the one in force first."""
        leaving = [each.secret for each in self.retired.values()]
        every = (self.secret, self.rotation.secret if self.rotation else None, *leaving)
        return tuple(secret for secret in every if secret is not None)


def record_path(data_dir: Path) -> Path:
    """Where the record is kept."""
    return data_dir / "hook.json"


def read_record(data_dir: Path) -> HookRecord:
    """The record; an empty one before the first command that writes it.

    Raises:
        StoreError: it cannot be read, or is damaged.
    """
    path = record_path(data_dir)
    try:
        return msgspec.json.decode(path.read_bytes(), type=HookRecord)
    except FileNotFoundError:
        return HookRecord()
    except OSError as error:
        raise StoreError(
            f"Cannot read {path}: {error.strerror}.", hint="It has to belong to the user as whom the service runs."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The parser's error may quote what it read, and that is a secret.
        raise StoreError(
            f"{path} is damaged.",
            hint="Restore it from a backup. Or move it away and, while the service still runs, have Okta send the"
            " configured secret again: rosterhook hook repair",
        ) from None


def write_record(data_dir: Path, record: HookRecord) -> None:
    """Put the record in place of the last one, whole and durable, readable by the service's user alone.

    Raises:
        StoreError: it cannot be written.
    """
    path = record_path(data_dir)
    try:
        replace_privately(path, msgspec.json.format(msgspec.json.encode(record)))
    except OSError as error:
        raise StoreError(f"Cannot write {path}: {error.strerror}.", hint="Check data_dir and its disk.") from None


def digest_of(secret: str) -> str:
    """By what a retired secret is known."""
    return hashlib.sha256(secret.encode()).hexdigest()


def accepted(hook: HookConfig, record: HookRecord, now: float) -> tuple[bytes, ...]:
    """Every secret that opens the door at `now` (seconds since 1970), as bytes of the header's value."""
    every = (*hook.accepted(), *(secret.encode() for secret in record.own_secrets()))
    return tuple(dict.fromkeys(each for each in every if _is_valid(record, each.decode(), now)))


def retire(record: HookRecord, secrets: Iterable[str], now: float, seconds: float = GRACE_SECONDS) -> HookRecord:
    """The record with these secrets on their way out; those whose time is over are known by their digest alone.

    Args:
        seconds: how long they are still taken; 0 ends the time of earlier ones, too: others may know one of them.
    """
    last = now if seconds <= 0 else math.inf
    before = {digest: replace(each, until=min(each.until, last)) for digest, each in record.retired.items()}
    retired = {digest: each if each.until > now else Retired(each.until) for digest, each in before.items()}
    own = record.own_secrets()
    for secret in secrets:
        retired[digest_of(secret)] = Retired(now + seconds, secret if secret in own else None)
    return replace(record, retired=retired)


def _is_valid(record: HookRecord, secret: str, now: float) -> bool:
    retired = record.retired.get(digest_of(secret))
    return retired is None or retired.until > now


def in_force(hook: HookConfig, record: HookRecord) -> str | None:
    """The secret that Okta shall send: one in the configuration that no rotation has retired is its owner's word,
    and wins over the last rotation's.
    """
    configured = [each.decode() for each in hook.accepted() if digest_of(each.decode()) not in record.retired]
    return next(iter(configured), record.secret)


class HookSecrets:
    """The secrets that are valid now, followed while other processes rotate them.

    Attributes:
        valid: as bytes of the header's value.

    Raises:
        StoreError: the record cannot be read; only from the constructor.
    """

    def __init__(self, hook: HookConfig, data_dir: Path, clock: Callable[[], float] = time.time) -> None:
        self._hook = hook
        self._data_dir = data_dir
        self._clock = clock
        self._stamp = self._stamp_now()
        self._record = read_record(data_dir)
        self.valid: Sequence[bytes] = accepted(hook, self._record, clock())

    def refresh(self) -> bool:
        """Look whether the record has changed or a secret's time is over; tell whether `valid` is another now."""
        self._reread()
        valid = accepted(self._hook, self._record, self._clock())
        changed, self.valid = valid != self.valid, valid
        if changed:
            log.info("hook.secrets", valid=len(valid))
        return changed

    def _reread(self) -> None:
        stamp = self._stamp_now()
        # A record that is gone was moved away by somebody: what was valid stays so, or Okta would be locked out.
        if stamp is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._record = read_record(self._data_dir)
        except StoreError as error:
            log.error("hook.record_unreadable", error=error.message, hint=error.hint)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        """It differs after every change, of the owner too."""
        try:
            told = record_path(self._data_dir).stat()
        except OSError:
            return None
        return told.st_ino, told.st_mtime_ns, told.st_ctime_ns
