"""What is said about an address that Okta could not verify, seen from here: real sockets, real certificates."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from rosterhook.hook import diagnosis
from rosterhook.hook.diagnosis import diagnose

CHALLENGE = b"x-okta-verification-challenge: "


class _Server(socketserver.ThreadingTCPServer):
    """Gives the same answer to everybody; who breaks the handshake off gets none."""

    def __init__(self, answer: bytes, tls: ssl.SSLContext | None) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing to tell: the caller's side is what is looked at."""


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        challenge = b""
        while (line := self.rfile.readline()).strip():
            if line.lower().startswith(CHALLENGE):
                challenge = line[len(CHALLENGE) :].strip()
        self.wfile.write(self.server.answer.replace(b"CHALLENGE", challenge))


@contextlib.contextmanager
def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server in a thread; its port."""
    with _Server(answer, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def http(status: str, body: bytes = b"", header: str = "") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\n{header}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http("401 Unauthorized"), "does not know the secret that came"),
        (http("400 Bad Request"), "takes out the header X-Okta-Verification-Challenge"),
        (http("404 Not Found"), "its path is hook.path"),
        (http("405 Method Not Allowed"), "its path is hook.path"),
        (http("301 Moved", header="Location: https://x/\r\n"), "redirects, and Okta does not follow"),
        (http("502 Bad Gateway"), "`rosterhook serve` is not running"),
        (http("200 OK", b"<h1>Welcome to nginx"), "something else than rosterhook"),
        (http("200 OK", b'{"verification": "of another"}'), "something else than rosterhook"),
        (b"garbage\r\n\r\n", "Nothing answers"),
    ],
    ids=["401", "400", "404", "405", "301", "502", "welcome page", "other challenge", "garbage"],
)
async def test_wrong_answer_is_named_with_its_cure(answer: bytes, words: str) -> None:
    """Each way to answer wrongly has a sentence of its own that says what to look at."""
    with answering(answer) as port:
        said = await diagnose(f"http://127.0.0.1:{port}/okta/events", "Authorization", "s3cret", None)
    assert words in said.words
    assert not said.is_good
    assert "s3cret" not in said.words


async def test_nobody_there_is_named() -> None:
    """A closed port: the service or the proxy is not started."""
    with answering(b"") as port:
        pass
    said = await diagnose(f"http://127.0.0.1:{port}/", "Authorization", "s3cret", None)
    assert "start `rosterhook serve`" in said.words


async def test_silence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that takes the call and never answers."""
    monkeypatch.setattr(diagnosis, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said = await diagnose(f"http://127.0.0.1:{listener.getsockname()[1]}/", "Authorization", "s3cret", None)
    assert "does not answer within" in said.words


async def test_answer_without_an_end_is_not_read_to_it() -> None:
    """Something that streams for ever must not hang the command."""
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 5_000_000
    with answering(endless) as port:
        said = await diagnose(f"http://127.0.0.1:{port}/", "Authorization", "s3cret", None)
    assert "something else than rosterhook" in said.words


async def test_right_answer_is_named() -> None:
    """Where all is well from here, the fault lies between Okta and here."""
    answer = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"verification": "CHALLENGE"}'
    with answering(answer) as port:
        said = await diagnose(f"http://127.0.0.1:{port}/okta/events", "Authorization", "s3cret", None)
    assert said.is_good
    assert "answers as it should" in said.words


async def test_unknown_name_is_named() -> None:
    """A host name that no DNS knows (RFC 2606)."""
    assert (
        "does not exist: check the DNS entry"
        in (await diagnose("https://hooks.invalid/x", "Authorization", "s3cret", None)).words
    )


async def test_certificate_of_nobody_is_named(tmp_path: Path) -> None:
    """A self-signed certificate: Okta takes only public authorities. Trusted here, the address is told to be good."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with answering(http("404 Not Found"), tls) as port:
        url = f"https://127.0.0.1:{port}/okta/events"
        untrusted = await diagnose(url, "Authorization", "s3cret", None)
        trusted = await diagnose(url, "Authorization", "s3cret", ca_file)
    assert "Okta takes only the certificate of a public authority" in untrusted.words
    assert "its path is hook.path" in trusted.words


async def test_secret_that_cannot_be_sent_is_not_quoted() -> None:
    """The library's error for such a header has the secret in it."""
    with answering(http("200 OK")) as port:
        said = await diagnose(f"http://127.0.0.1:{port}/", "Authorization", "s3cret\n4711", None)
    assert "cannot be asked" in said.words
    assert "s3cret" not in said.words
