"""Why a request got no answer at all, in words and with the cure."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

import httpx2

from rosterhook.okta.cures import TRY_AGAIN

#: OpenSSL's numbers for a chain that does not end at a known authority.
_UNKNOWN_AUTHORITY = (18, 19, 20, 21)
_OTHER_NAME = 62
_EXPIRED = 10
_CHECK = "Check okta.org_url, the network, and any proxy on the way."


def reason(error: httpx2.RequestError, host: str) -> tuple[str, str]:
    """Why there was no answer, and what to do.

    Args:
        host: that was asked.

    Returns:
        The reason, to stand behind a colon and without a full stop; and the cure, in whole sentences.
    """
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return _no_name(cause, host)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _no_trust(cause, host)
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
            # By number: asyncio puts words of its own into `strerror`.
            return f"{os.strerror(cause.errno)} ({host})", f"{_CHECK} {TRY_AGAIN}"
    text = f": {error}" if str(error) else ""
    return f"{type(error).__name__}{text}", f"{_CHECK} {TRY_AGAIN}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """What an error was made of, the innermost first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    for each in reversed(chain):
        # Several addresses of one name, all tried in vain.
        yield from each.exceptions if isinstance(each, BaseExceptionGroup) else (each,)


def _no_name(cause: socket.gaierror, host: str) -> tuple[str, str]:
    if cause.errno == socket.EAI_AGAIN:
        return f"the name {host} cannot be looked up now", f"Check this machine's DNS. {TRY_AGAIN}"
    return f"the name {host} does not exist", "Check okta.org_url, and this machine's DNS."


def _no_trust(cause: ssl.SSLCertVerificationError, host: str) -> tuple[str, str]:
    if cause.verify_code == _OTHER_NAME:
        return f"the certificate is not one for {host}", "Check okta.org_url, and any proxy on the way."
    if cause.verify_code == _EXPIRED:
        return f"the certificate of {host} has expired", "Check this machine's clock, and any proxy on the way."
    cure = "If a proxy or a test org has an authority of its own, set okta.ca_file to its certificate (PEM)."
    if cause.verify_code in _UNKNOWN_AUTHORITY:
        return f"the authority that signed the certificate of {host} is unknown", cure
    return f"the certificate of {host} is not trusted ({cause.verify_message})", cure
