"""Puts the client together as the configuration says: API token or service app, and whom to trust for TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import structlog

from rosterhook.config import OktaConfig
from rosterhook.errors import ConfigError, OktaForbidden
from rosterhook.okta.auth import Auth, SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.cures import SCOPES_PAGE
from rosterhook.okta.wire import open_http, trust_also
from rosterhook.private_files import is_open_to_others

if TYPE_CHECKING:  # who logs in by an API token needs no cryptography
    from rosterhook.okta.keys import SigningKey
    from rosterhook.okta.token_endpoint import TokenEndpoint

#: Scopes of Okta's API. An API token has none: its admin's role decides.
READ_USERS = "okta.users.read"
READ_LOGS = "okta.logs.read"
MANAGE_USERS = "okta.users.manage"
READ_EVENT_HOOKS = "okta.eventHooks.read"
MANAGE_EVENT_HOOKS = "okta.eventHooks.manage"

log = structlog.get_logger("rosterhook.okta")


@dataclass(frozen=True, slots=True)
class ScopeCheck:
    """Whether a service app has a scope.

    Attributes:
        problem: Okta's refusal, with its cure; None when the scope is granted.
    """

    scope: str
    problem: OktaForbidden | None

    @property
    def granted(self) -> bool:
        """Okta gives tokens for this scope."""
        return self.problem is None


@asynccontextmanager
async def connected(
    okta: OktaConfig,
    scopes: Sequence[str],
    *,
    budget: Budget | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[OktaClient]:
    """A client for the org, logged in as configured. Nothing is asked before its first call.

    Args:
        okta: with `login` and `org_url`.
        scopes: the least that the calls need; an API token has none to choose.
        budget: shared by all who read this org; one of its own when None.
        transport: in place of the network, for tests.

    Raises:
        ConfigError: there is no way to log in, or the token or the private key cannot be used.
    """
    org_url, tls = _org_url(okta), _trusted(okta)
    async with _login(okta, scopes, tls, transport) as auth:
        client = OktaClient(
            org_url,
            auth,
            budget or Budget(okta.share),
            timeout_seconds=okta.timeout_seconds,
            transport=transport,
            tls=tls,
            login=okta.login,
        )
        try:
            yield client
        finally:
            await client.aclose()


async def check_scopes(
    okta: OktaConfig, scopes: Sequence[str], *, transport: httpx2.AsyncBaseTransport | None = None
) -> list[ScopeCheck]:
    """Ask for each scope alone, so that each gets an answer of its own.

    Returns:
        One for each scope, in their order; nothing for an API token, which has no scopes.

    Raises:
        ConfigError: as `connected`.
        OktaUnauthorized: Okta does not accept the app or its key, whatever the scope.
        OktaRateLimited, OktaUnavailable: there is no telling now.
    """
    if okta.login != "service_app":
        return []
    async with _token_endpoint(okta, _trusted(okta), transport) as tokens:
        return [await _check_scope(tokens, scope) for scope in scopes]


def open_key_file(okta: OktaConfig) -> str:
    """A warning, in one sentence with its cure, that others may read the file with the private key; else ""."""
    path = okta.private_key_file
    if path is None or not is_open_to_others(path):
        return ""
    return f"okta.private_key_file {path} may be read or changed by other users of this machine: chmod 600 {path}"


async def _check_scope(tokens: TokenEndpoint, scope: str) -> ScopeCheck:
    try:
        token = await tokens.ask([scope])
    except OktaForbidden as refused:
        return ScopeCheck(scope, refused)
    if scope in token.scopes:
        return ScopeCheck(scope, None)
    hint = f"Grant the app {scope}: {SCOPES_PAGE}."
    return ScopeCheck(scope, OktaForbidden(f"Okta gave a token without {scope}.", hint=hint, status=200))


@asynccontextmanager
async def _login(
    okta: OktaConfig, scopes: Sequence[str], tls: ssl.SSLContext | None, transport: httpx2.AsyncBaseTransport | None
) -> AsyncIterator[Auth]:
    if okta.token is not None:
        yield SswsAuth(okta.token)
        return
    from rosterhook.okta.oauth import OAuthAuth

    if warning := open_key_file(okta):
        log.warning("okta.key_file_is_open", reason=warning)
    async with _token_endpoint(okta, tls, transport) as tokens:
        yield OAuthAuth(tokens, scopes)


@asynccontextmanager
async def _token_endpoint(
    okta: OktaConfig, tls: ssl.SSLContext | None, transport: httpx2.AsyncBaseTransport | None
) -> AsyncIterator[TokenEndpoint]:
    from rosterhook.okta.token_endpoint import TokenEndpoint

    key, timeout = _signing_key(okta), okta.timeout_seconds
    async with open_http(timeout_seconds=timeout, connections=1, transport=transport, tls=tls) as http:
        yield TokenEndpoint(_org_url(okta), okta.client_id or "", key, http, timeout_seconds=timeout)


def _signing_key(okta: OktaConfig) -> SigningKey:
    from rosterhook.okta.keys import load_signing_key

    if okta.private_key is None:
        raise ConfigError(
            "There is no way to log in to Okta.", hint="Set okta.token, or okta.client_id and okta.private_key_file."
        )
    path = okta.private_key_file
    name = "okta.private_key" if path is None else f"okta.private_key_file {path}"
    text = okta.private_key.get_secret_value()
    return load_signing_key(text, name=name, algorithm=okta.algorithm, key_id=okta.key_id)


def _org_url(okta: OktaConfig) -> str:
    if okta.org_url is None:
        raise ConfigError("There is no org to ask.", hint='Set okta.org_url, such as "https://example.okta.com".')
    return okta.org_url


def _trusted(okta: OktaConfig) -> ssl.SSLContext | None:
    """The system's authorities need no context of their own."""
    try:
        return None if okta.ca_file is None else trust_also(okta.ca_file)
    except OSError as error:
        raise ConfigError(f"okta.ca_file {okta.ca_file} cannot be used: {error.strerror}.") from None
