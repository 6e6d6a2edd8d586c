"""The way from one page of a list to the next: Okta's `Link` header."""

from __future__ import annotations

import re
from collections.abc import Iterable

import httpx2

from rosterhook.errors import OktaError

_LINK = re.compile(r"<([^>]*)>([^<]*)")
_REL = re.compile(r""";\s*rel\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;,"']+))""", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def next_link(values: Iterable[str], url: str) -> str | None:
    """The address of the next page, or None on the last one.

    Okta sends one comma-joined header or several, and "next" with or without "self" (seen in recorded answers).

    Args:
        values: every value of the answer's `Link` header.
        url: the page that the answer is.

    Raises:
        OktaError: the link is no address, or leads to another origin, which must not get the token.
    """
    for value in values:
        for target, parameters in _LINK.findall(value):
            if "next" in _relations(parameters):
                return _same_origin(target, url)
    return None


def origin(url: httpx2.URL) -> str:
    """Scheme, host and port of an address, in one spelling."""
    port = url.port or _PORTS.get(url.scheme, 0)
    return f"{url.scheme}://{url.host.lower()}:{port}"


def _relations(parameters: str) -> set[str]:
    return {word for groups in _REL.findall(parameters) for word in "".join(groups).lower().split()}


def _same_origin(target: str, url: str) -> str:
    here = httpx2.URL(url)
    try:
        link = here.join(target)
    except httpx2.InvalidURL:
        raise OktaError('Okta\'s Link header rel="next" is no address.', hint="Look for a proxy on the way.") from None
    if origin(link) != origin(here) or link.userinfo:
        raise OktaError(
            f"Okta's next page is at {origin(link)}, and this one at {origin(here)}: not followed, because the token"
            " would go to a stranger.",
            hint="If that is the address of your org, set okta.org_url to it.",
        )
    return str(link)
