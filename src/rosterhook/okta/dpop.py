"""Proofs that a request comes from whom its access token was made for (RFC 9449, DPoP)."""

from __future__ import annotations

import hashlib
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey

#: Of those that Okta takes (RS256/384/512 and ES256/384/512, as its API lists them in `WWW-Authenticate: DPoP algs`)
#: the one with small proofs and quick keys: every call needs a proof.
ALGORITHM = "ES256"


class ProofKey:
    """A key pair that lives as long as the process, and the proofs signed with it.

    Args:
        now: seconds since 1970.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._key = ECKey.generate_key("P-256")
        self._public = self._key.as_dict(private=False)

    def proof(self, method: str, url: str, *, nonce: str = "", access_token: str = "") -> str:
        """The value of the header `DPoP`: good for one request, so a repeat needs another.

        Args:
            method: the HTTP method.
            url: the whole address; its query is not part of the proof.
            nonce: the last one that the server gave; "" when it gave none.
            access_token: the token that the request carries; "" for the request that asks for one.
        """
        claims: dict[str, Any] = {
            "htm": method,
            "htu": _htu(url),
            "iat": int(self._now()),
            "jti": uuid.uuid4().hex,
        }
        if nonce:
            claims["nonce"] = nonce
        if access_token:
            digest = hashlib.sha256(access_token.encode("ascii")).digest()
            claims["ath"] = urlsafe_b64encode(digest).rstrip(b"=").decode()
        header = {"typ": "dpop+jwt", "alg": ALGORITHM, "jwk": self._public}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])


def _htu(url: str) -> str:
    """The address without query and fragment, and with a plain path: Okta compares it with the path as it has
    decoded it, so that "/users/a%40b.com" is refused. (Seen in okta-sdk-python#541 and okta-sdk-nodejs#521.)
    """
    parts = httpx2.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode('ascii')}{parts.path}"
