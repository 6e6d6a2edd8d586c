"""The inbox behind its seam: append, read, prune."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from rosterhook import inbox as inbox_module
from rosterhook.errors import StoreError
from rosterhook.inbox import SqliteInbox
from rosterhook.model import Delivery


@pytest.fixture
async def inbox(tmp_path: Path):
    inbox = SqliteInbox(tmp_path)
    yield inbox
    await inbox.close()


def delivery(number: int) -> Delivery:
    return Delivery(1000 + number, {"user-agent": "Okta"}, b"body %d" % number)


async def test_deliveries_come_back_in_order_and_whole(inbox: SqliteInbox) -> None:
    """What is appended is read in the order of arrival, byte for byte, past any offset."""
    for number in range(5):
        await inbox.append(delivery(number))
    await inbox.append(Delivery(9, {}, b"", "too_large"))
    read = await inbox.read(2, 100)
    assert [one.body for one in read] == [b"body 2", b"body 3", b"body 4", b""]
    assert read[0].headers == {"user-agent": "Okta"}
    assert read[-1].fault == "too_large"
    assert [one.seq for one in await inbox.read(0, 2)] == [1, 2]


async def test_large_bodies_are_read_a_few_at_a_time(inbox: SqliteInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog of large deliveries is read in parts that fit the memory, and none is left out."""
    monkeypatch.setattr(inbox_module, "MAX_READ_BYTES", 1000)
    for number in range(5):
        await inbox.append(Delivery(number, {}, b"x" * 600))
    seqs, after = [], 0
    while part := await inbox.read(after, 100):
        assert len(part) <= 2
        seqs += [one.seq for one in part]
        after = seqs[-1]
    assert seqs == [1, 2, 3, 4, 5]


async def test_a_thousand_at_once_are_all_stored(inbox: SqliteInbox) -> None:
    """However many arrive together, each is stored once and none is answered before."""
    await asyncio.gather(*(inbox.append(delivery(number)) for number in range(1000)))
    bodies = [one.body for one in await inbox.read(0, 2000)]
    assert sorted(bodies) == sorted(delivery(number).body for number in range(1000))


async def test_pruned_numbers_never_come_again(inbox: SqliteInbox) -> None:
    """After pruning everything, the next delivery gets a higher number: a reader's offset stays right."""
    for number in range(3):
        await inbox.append(delivery(number))
    assert await inbox.prune(3, 10**12) == 3
    assert await inbox.prune(3, 10**12) == 0
    assert await inbox.received() == 3
    await inbox.append(delivery(9))
    assert [one.seq for one in await inbox.read(3, 10)] == [4]


async def test_prune_keeps_what_is_young_or_not_handed_over(inbox: SqliteInbox) -> None:
    """Only deliveries go that are both old and handed over."""
    for number in range(4):
        await inbox.append(delivery(number))
    await inbox.prune(4, 1001)
    assert [one.seq for one in await inbox.read(0, 10)] == [2, 3, 4]
    await inbox.prune(2, 10**12)
    assert [one.seq for one in await inbox.read(0, 10)] == [3, 4]


async def test_full_queue_is_refused(inbox: SqliteInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many wait for the disk, the next one is refused at once, and those before it are stored."""
    monkeypatch.setattr(inbox_module, "MAX_WAITING", 3)
    results = await asyncio.gather(*(inbox.append(delivery(n)) for n in range(10)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, StoreError)]
    assert len(refused) == 7
    assert len(await inbox.read(0, 100)) == 3


async def test_failed_commit_reaches_everybody_who_waits(tmp_path: Path) -> None:
    """When a batch cannot be committed, each of its senders gets the error, and the next batch works again."""
    inbox = SqliteInbox(tmp_path)
    inbox.database._writer.set_busy_timeout(50)
    other = apsw.Connection(str(tmp_path / "inbox.db"))
    other.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(*(inbox.append(delivery(n)) for n in range(5)), return_exceptions=True)
    assert all(isinstance(result, StoreError) for result in results)
    other.execute("ROLLBACK")
    other.close()
    await inbox.append(delivery(5))
    assert [one.body for one in await inbox.read(0, 10)] == [b"body 5"]
    await inbox.close()


APPEND_FOREVER = """
import asyncio, sys
from pathlib import Path
from rosterhook.inbox import SqliteInbox
from rosterhook.model import Delivery

async def main():
    inbox = SqliteInbox(Path(sys.argv[1]))
    async def one(n):
        await inbox.append(Delivery(0, {}, str(n).encode()))
        print(n, flush=True)
    for start in range(0, 100_000, 20):
        await asyncio.gather(*(one(n) for n in range(start, start + 20)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    """Every append that returned before a SIGKILL is there after it."""
    process = subprocess.Popen([sys.executable, "-c", APPEND_FOREVER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout
    acknowledged = [process.stdout.readline() for _ in range(500)]
    process.kill()
    acknowledged += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    inbox = SqliteInbox(tmp_path)
    stored = {one.body for one in await inbox.read(0, 200_000)}
    await inbox.close()
    complete = [line for line in acknowledged if line.endswith(b"\n")]
    assert {line.strip() for line in complete} <= stored
