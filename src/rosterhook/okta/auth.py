"""How a call proves to Okta who makes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from pydantic import SecretStr

from rosterhook.errors import ConfigError

_TOKEN = re.compile(r"[!-~]+")


class Auth(Protocol):
    """Gives the headers that authorize one request.

    It is asked anew for every request and every repeat: a DPoP proof is good for one method, one URL, one use.
    """

    async def headers(self, method: str, url: str) -> dict[str, str]:
        """The headers for one request.

        Args:
            method: the HTTP method, such as "GET".
            url: the whole address, with its query.

        Raises:
            OktaError: no proof can be had now, or Okta refused to give one.
        """
        ...

    def learn(self, sent: Mapping[str, str], status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """See what an answer says about the authorization.

        Args:
            sent: what `headers` gave for the request.
            status: of the answer.
            headers: of the answer.
            body: of the answer.

        Returns:
            Whether Okta did nothing but find fault with `sent`, and new headers may mend it. Repeat once at most.
        """
        ...


class SswsAuth:
    """An API token, sent as `Authorization: SSWS <token>` (Okta's guide "Create an API token").

    Args:
        token: the token as the Admin Console showed it, without "SSWS".

    Raises:
        ConfigError: the token is empty, or has characters that no header can carry.
    """

    def __init__(self, token: SecretStr) -> None:
        # httpx2 quotes an illegal header value in its error: a bad token has to be refused before it gets there.
        if not _TOKEN.fullmatch(token.get_secret_value()):
            is_empty = not token.get_secret_value().strip()
            what = "is empty" if is_empty else "has a blank or another character that no API token has"
            raise ConfigError(
                f"okta.token {what}.",
                hint='Give the token alone, without "SSWS" and without quotes.',
            )
        self._token = token

    def __repr__(self) -> str:
        return "SswsAuth(token=**********)"

    async def headers(self, method: str, url: str) -> dict[str, str]:
        """The `Authorization` header; the same for every request."""
        return {"Authorization": f"SSWS {self._token.get_secret_value()}"}

    def learn(self, sent: Mapping[str, str], status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Nothing: a token that Okta refuses stays refused."""
        return False
