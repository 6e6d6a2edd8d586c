"""Why Okta could not verify the hook: the same request, made from here."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from rosterhook.okta.wire import open_http, trust_also

SECONDS = 5.0


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
        async with open_http(timeout_seconds=SECONDS, connections=1, tls=tls) as client:
            answer = await client.get(url, headers=headers)
    except httpx2.TimeoutException:
        return Diagnosis(
            False, f"From here {url} does not answer within {SECONDS:g} s (Okta waits 3 s): check that it is up."
        )
    except (httpx2.LocalProtocolError, httpx2.InvalidURL):
        # The text of these quotes what was to be sent: the secret is in it.
        return Diagnosis(False, f"{url} cannot be asked from here: check hook.url and hook.header.")
    except httpx2.RequestError as error:
        return Diagnosis(False, _no_connection(url, str(error)))
    if answer.status_code == 200 and _verifies(answer, challenge):
        return Diagnosis(True, f"From here {url} answers as it should.", is_reached=True)
    return Diagnosis(False, _wrong_answer(url, answer.status_code), is_reached=True)


def _no_connection(url: str, text: str) -> str:
    host = urlsplit(url).hostname
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate" in text.lower():
        return (
            f"The certificate of {host} is not one that this machine trusts: Okta takes only one of a public"
            " authority, whole with its chain, for that name."
        )
    if any(word in text for word in ("Name or service", "nodename", "getaddrinfo", "Temporary failure")):
        return f"The name {host} is not known here: check the DNS entry and hook.url."
    return f"Nothing answers at {url} from here ({text}): start `rosterhook serve` and the proxy in front of it."


def _wrong_answer(url: str, status: int) -> str:
    if status == 401:
        return "The service does not know this secret: is it the same rosterhook, with the same data_dir and secret?"
    if status in (404, 405):
        return f"{url} leads elsewhere ({status}): check that its path is hook.path, and what the proxy does with it."
    if 300 <= status < 400:
        return f"{url} redirects, and Okta does not follow: set hook.url to the address that answers."
    if status in (502, 503, 504):
        return f"The proxy answers {status}: `rosterhook serve` is not running, or the proxy does not find it."
    return f"{url} answers {status}, and not with the challenge: something else than rosterhook is there."


def _verifies(answer: httpx2.Response, challenge: str) -> bool:
    try:
        return bool(answer.json() == {"verification": challenge})
    except ValueError:
        return False
