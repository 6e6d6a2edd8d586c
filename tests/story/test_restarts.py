"""Ends and restarts of the service and of its processes: nothing that was taken is lost, and nobody is refused."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from harness import SECRET_LINE, Service, event_for, post, raw, request, settled, wait_until

pytestmark = [pytest.mark.story, pytest.mark.timeout(180)]


def test_sigterm_finishes_what_is_under_way(service: Service) -> None:
    """A delivery whose body is still coming at SIGTERM is stored and answered; then everything ends in order."""
    body = event_for("00uNobody", "e-4")
    answer = raw(service, request(body, SECRET_LINE) + body[:10], body[10:], then=signal.SIGTERM)
    assert answer.startswith(b"HTTP/1.1 200")
    assert service.runs[-1].wait() == 0
    assert "Traceback" not in service.output
    assert json.loads(service.command("status", "--json").stdout)["deliveries"]["received"] == 1


def test_dead_process_is_started_again(service: Service) -> None:
    """A web or worker process that dies is replaced, and the service goes on."""
    for name in ("web", "worker"):
        before = service.pid_of(name)
        service.kill(name)
        wait_until(lambda name=name, before=before: service.pid_of(name) != before, 30, "a new process")
        service.wait_up()
    post(service, event_for("00uNobody", "e-5", "user.lifecycle.delete.initiated"))
    assert settled(service, 1)["users"]["deleted"] == 1
    assert '"process.died"' in service.output


def test_call_during_a_restart_waits_and_is_taken(service: Service) -> None:
    """The web process dies, and Okta calls that moment: the call waits in the queue, and is not refused."""
    for number in range(3):
        web = service.pid_of("web")
        service.kill("web")
        answer = post(service, event_for(f"00u{number}", f"uuid-{number}"))
        assert answer.status_code == 200
        assert service.pid_of("web") != web
    settled(service, 3)


def test_children_end_with_their_supervisor(service: Service) -> None:
    """When the supervisor is killed, its children see it and end, so that the next start finds the port free."""
    children = [service.pid_of("web"), service.pid_of("worker")]
    os.kill(service.runs[-1].pid, signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in children), 30, "the children to end")
    service.runs[-1].wait()
    service.start()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
