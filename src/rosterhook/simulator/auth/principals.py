"""The callers that the org knows: API tokens, and OAuth service apps with their keys, scopes and role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any, NamedTuple

from joserfc.jwk import ECKey

from rosterhook.simulator.auth.jose import PublicJwk, public_jwks, public_key
from rosterhook.simulator.events import new_id

#: "super" may everything; "read_only" may read users, groups and the log; "none" is an app that nobody gave a role.
ROLES = ("super", "read_only", "none")

#: Resources of Okta's management API: each has a scope to read it and one to manage it.
_RESOURCES = (
    "apps", "authorizationServers", "devices", "domains", "eventHooks", "events", "features", "groups", "idps",
    "inlineHooks", "linkedObjects", "logStreams", "logs", "networkZones", "orgs", "policies", "profileMappings",
    "principalRateLimits", "rateLimits", "roles", "schemas", "sessions", "templates", "trustedOrigins", "userTypes",
    "users",
)  # fmt: skip
SCOPES = frozenset(f"okta.{resource}.{right}" for resource in _RESOURCES for right in ("read", "manage"))

#: What this project's service needs.
DEFAULT_SCOPES = (
    "okta.users.read",
    "okta.groups.read",
    "okta.logs.read",
    "okta.eventHooks.read",
    "okta.eventHooks.manage",
)
DEFAULT_CLIENT_ID = "0oasimulatedapp00001"


@dataclass(frozen=True, slots=True)
class App:
    """An OAuth service app ("API Services" in Okta's Admin Console).

    Attributes:
        keys: public JWKs; without one nobody can ask for a token.
        scopes: what a super admin has granted.
        dpop: whether each token must be bound to a key of the caller, as Okta demands of new apps since 2024.

    Raises:
        ValueError: there is no such scope or role, or a key cannot be read.
    """

    client_id: str = DEFAULT_CLIENT_ID
    keys: tuple[PublicJwk, ...] = ()
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    role: str = "super"
    dpop: bool = False
    active: bool = True

    def __post_init__(self) -> None:
        _check_role(self.role)
        if unknown := sorted(set(self.scopes) - SCOPES):
            raise ValueError(f"no such scope: {', '.join(unknown)}; they read like okta.users.read")
        for jwk in self.keys:
            public_key(jwk)

    def as_json(self) -> dict[str, Any]:
        """As `/_sim/apps` shows it, and as a restart finds it again."""
        return {**asdict(self), "keys": list(self.keys), "scopes": list(self.scopes)}


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An SSWS token; it has the rights of the admin who made it, and no scopes."""

    id: str
    value: str = field(repr=False)
    role: str = "super"

    def __post_init__(self) -> None:
        _check_role(self.role)


class Principal(NamedTuple):
    """Who makes a call.

    Attributes:
        id: of the token or the client; its share of the rate limits is counted by it.
        scopes: of the access token; None for an API token, which knows no scopes.
    """

    id: str
    role: str
    scopes: frozenset[str] | None = None

    def has_scope(self, scope: str) -> bool:
        """Whether a scope is held; managing includes reading."""
        if self.scopes is None:
            return True
        return scope in self.scopes or scope.removesuffix(".read") + ".manage" in self.scopes


class Principals:
    """All tokens and apps of an org; they may change while it runs.

    Args:
        token: an API token that is always there, with every right.
    """

    def __init__(self, token: str, apps: Iterable[App], rng: Random) -> None:
        self._rng = rng
        first = ApiToken(new_id(rng, "00T"), token)
        self._tokens: dict[str, ApiToken] = {token: first}
        self._apps: dict[str, App] = {app.client_id: app for app in apps}
        self._given = (first, tuple(self._apps.values()))

    @property
    def tokens(self) -> list[ApiToken]:
        """Every API token."""
        return list(self._tokens.values())

    @property
    def apps(self) -> list[App]:
        """Every app."""
        return list(self._apps.values())

    def token(self, value: str) -> ApiToken | None:
        """The token with this value."""
        return self._tokens.get(value)

    def app(self, client_id: str | None) -> App | None:
        """The app with this client id."""
        return None if client_id is None else self._apps.get(client_id)

    def add_token(self, role: str = "super") -> ApiToken:
        """A new API token. Raises ValueError for an unknown role."""
        token = ApiToken(new_id(self._rng, "00T"), new_id(self._rng, "00", 40), role)
        self._tokens[token.value] = token
        return token

    def remove_token(self, token_id: str) -> bool:
        """Revoke; whether there was such a token."""
        found = [value for value, token in self._tokens.items() if token.id == token_id]
        for value in found:
            del self._tokens[value]
        return bool(found)

    def put_app(self, wanted: Mapping[str, Any]) -> App:
        """A new app, or a change of what is named in one that exists. Raises ValueError for what an app can't have."""
        known = set(App.__dataclass_fields__)
        if unknown := sorted(set(wanted) - known):
            raise ValueError(f"an app has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        client_id = str(wanted.get("client_id") or new_id(self._rng, "0oa"))
        app = self._apps.get(client_id) or App(client_id)
        self._apps[client_id] = replace(app, **{**_typed(wanted), "client_id": client_id})
        return self._apps[client_id]

    def remove_app(self, client_id: str) -> bool:
        """Delete; whether there was such an app. Its access tokens are worth nothing from now on."""
        return self._apps.pop(client_id, None) is not None

    def dump(self) -> dict[str, Any]:
        """All of it, for a restart."""
        return {"tokens": [asdict(token) for token in self.tokens], "apps": [app.as_json() for app in self.apps]}

    def load(self, held: Mapping[str, Any]) -> None:
        """What an earlier run had; what this run was started with comes on top."""
        first, apps = self._given
        tokens = [ApiToken(**each) for each in held["tokens"]]
        self._tokens = {token.value: token for token in tokens}
        self._tokens.setdefault(first.value, first)
        self._apps = {}
        for each in held["apps"]:
            self.put_app(each)
        self._apps |= {app.client_id: app for app in apps}


def new_key() -> ECKey:
    """A key pair for a newcomer's first try; a short one to write down."""
    return ECKey.generate_key("P-256", auto_kid=True)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise ValueError(f"no such role: {role}; there are {', '.join(ROLES)}")


def _typed(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """JSON as an app has it: names apart by blanks or as a list, keys as PEM, JWK, JWKS or a list of JWKs."""
    changes = dict(wanted)
    if "scopes" in changes:
        scopes = changes["scopes"]
        changes["scopes"] = tuple(scopes.split() if isinstance(scopes, str) else map(str, scopes))
    if "keys" in changes:
        changes["keys"] = _keys(changes["keys"])
    for name in ("dpop", "active"):
        if name in changes and not isinstance(changes[name], bool):
            raise ValueError(f"{name} is true or false")
    return changes


def _keys(value: Any) -> tuple[PublicJwk, ...]:
    if isinstance(value, str):
        return public_jwks(value)
    if isinstance(value, dict):
        value = value.get("keys", [value])
    if not isinstance(value, list | tuple) or not all(isinstance(jwk, dict) for jwk in value):
        raise ValueError("keys is a PEM, a JWK, a JWKS or a list of JWKs")
    return tuple(dict(jwk) for jwk in value)
