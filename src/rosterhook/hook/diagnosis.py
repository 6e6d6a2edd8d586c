"""Why Okta could not verify the hook: the same request, made from here."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import msgspec

from rosterhook.okta.no_answer import reason
from rosterhook.okta.wire import open_http, trust_also

#: As long as Okta waits. (Its documentation, "Event hooks".)
SECONDS = 3.0
MOST_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an address answers, seen from here.

    Attributes:
        is_good: it answers as Okta needs it, with the secret that was sent.
        is_reached: it answers. If not, Okta may reach it all the same: some networks do not lead back into themselves.
        words: what is wrong, and the cure. Never holds the secret.
    """

    is_good: bool
    words: str
    is_reached: bool = False


async def diagnose(url: str, header: str, secret: str, ca_file: Path | None) -> Diagnosis:
    """Ask the hook's address as Okta does.

    Args:
        ca_file: authorities to trust beside the system's.
    """
    challenge = secrets.token_urlsafe(16)
    headers = {header: secret, "X-Okta-Verification-Challenge": challenge}
    try:
        tls = None if ca_file is None else trust_also(ca_file)
        async with asyncio.timeout(SECONDS), open_http(timeout_seconds=SECONDS, connections=1, tls=tls) as client:
            status, body = await _answer(client, url, headers)
    except (TimeoutError, httpx2.TimeoutException):
        return Diagnosis(False, f"From here {url} does not answer within {SECONDS:g} s, as long as Okta waits.")
    except (httpx2.LocalProtocolError, httpx2.InvalidURL):
        # The text of these quotes what was to be sent: the secret is in it.
        return Diagnosis(False, f"{url} cannot be asked from here: check hook.url and hook.header.")
    except httpx2.RequestError as error:
        return Diagnosis(False, _no_connection(url, error))
    if status == 200 and _verifies(body, challenge):
        return Diagnosis(True, f"From here {url} answers as it should.", is_reached=True)
    return Diagnosis(False, _wrong_answer(url, status), is_reached=True)


async def _answer(client: httpx2.AsyncClient, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body, which is not read further than any right answer is long."""
    body = b""
    async with client.stream("GET", url, headers=headers) as answer:
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > MOST_BYTES:
                break
        return answer.status_code, body


def _no_connection(url: str, error: httpx2.RequestError) -> str:
    why, _ = reason(error, urlsplit(url).hostname or "")
    if "CERTIFICATE_VERIFY_FAILED" in str(error) or "certificate" in str(error).lower():
        return f"{why[:1].upper()}{why[1:]}: Okta takes only the certificate of a public authority, with its chain."
    if "name" in why:
        return f"{why[:1].upper()}{why[1:]}: check the DNS entry and hook.url."
    return f"Nothing answers at {url} from here ({why}): start `rosterhook serve` and the proxy in front of it."


def _wrong_answer(url: str, status: int) -> str:
    if status == 401:
        return (
            "The service does not know the secret that came: is it the same rosterhook, with the same data_dir, and"
            " does the proxy pass the header on?"
        )
    if status == 400:
        return f"{url} answers 400: something on the way takes out the header X-Okta-Verification-Challenge."
    if status in (404, 405):
        return f"{url} leads elsewhere ({status}): check that its path is hook.path, and what the proxy does with it."
    if 300 <= status < 400:
        return f"{url} redirects, and Okta does not follow: set hook.url to the address that answers."
    if status in (502, 503, 504):
        return f"The proxy answers {status}: `rosterhook serve` is not running, or the proxy does not find it."
    return f"{url} answers {status}, and not with the challenge: something else than rosterhook is there."


def _verifies(body: bytes, challenge: str) -> bool:
    try:
        return bool(msgspec.json.decode(body) == {"verification": challenge})
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
