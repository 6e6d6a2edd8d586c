"""A request without an answer: the reason in plain words, none of the libraries' own."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import httpx2
import pytest

from rosterhook.errors import OktaUnavailable
from rosterhook.okta import wire
from rosterhook.okta.cures import TRY_AGAIN
from rosterhook.okta.no_answer import reason


def distrust(code: int, words: str = "some words") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] {words} (_ssl.c:1006)")
    error.verify_code, error.verify_message = code, words
    return error


def wrapped(cause: BaseException) -> httpx2.ConnectError:
    """As the library hands it on: its own error, made of others."""
    try:
        try:
            raise cause
        except BaseException as inner:
            raise OSError("all attempts failed") from inner
    except OSError as outer:
        error = httpx2.ConnectError(f"[Errno -2] {cause} (_ssl.c:1006)")
        error.__cause__ = outer
        return error


@pytest.mark.parametrize(
    ("cause", "why", "cure"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "the name no.invalid does not exist", "Check okta.org_url"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the name no.invalid cannot be looked up now", TRY_AGAIN),
        (distrust(20), "the authority that signed the certificate of no.invalid is unknown", "okta.ca_file"),
        (distrust(62), "the certificate is not one for no.invalid", "okta.org_url"),
        (distrust(10), "the certificate of no.invalid has expired", "clock"),
        (distrust(99), "the certificate of no.invalid is not trusted (some words)", "okta.ca_file"),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)),
            "Connection refused (no.invalid)",
            TRY_AGAIN,
        ),
        (
            ExceptionGroup("", [OSError(errno.ENETUNREACH, "own words")]),
            "Network is unreachable (no.invalid)",
            TRY_AGAIN,
        ),
    ],
)
def test_each_reason_has_plain_words(cause: BaseException, why: str, cure: str) -> None:
    """A name, a certificate, a port that nobody listens on: told so, with its cure, without OpenSSL's places."""
    told, hint = reason(wrapped(cause), "no.invalid")
    assert told == why
    assert cure in hint


def test_an_unknown_reason_is_told_as_it_is() -> None:
    """What has no words of ours keeps the library's."""
    assert reason(httpx2.ReadError(""), "h")[0] == "ReadError"
    assert reason(httpx2.RemoteProtocolError("closed"), "h")[0] == "RemoteProtocolError: closed"


async def test_a_refused_connection_is_told_by_the_real_client() -> None:
    """The real library's error for a port that nobody listens on has the cause that the words are made of."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with wire.open_http(timeout_seconds=5, connections=1) as http:
        with pytest.raises(OktaUnavailable, match=r"GET /x: Connection refused \(127\.0\.0\.1\)"):
            async with wire.asked(http, "GET", f"http://127.0.0.1:{port}/x", "GET /x", timeout_seconds=5, headers={}):
                pass


async def test_a_name_that_does_not_exist_is_told_by_the_real_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a name: no "[Errno -2]"."""

    def nobody(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    async with wire.open_http(timeout_seconds=5, connections=1) as http:
        with pytest.raises(OktaUnavailable, match=r"GET /x: the name no\.invalid does not exist\."):
            async with wire.asked(http, "GET", "https://no.invalid/x", "GET /x", timeout_seconds=5, headers={}):
                pass
