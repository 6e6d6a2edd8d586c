"""The configuration: one model, read from rosterhook.toml, the environment and `.env`.

The environment wins over `.env`, and both win over the file. docs/configuration.md is generated from here.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from rosterhook.config.section import Section
from rosterhook.config.target import DEFAULT_COLUMNS, TUTORIAL_COLUMNS, Name, Policy, SqlTarget

__all__ = [
    "DEFAULT_COLUMNS",
    "TUTORIAL_COLUMNS",
    "Config",
    "FollowerConfig",
    "HookConfig",
    "LogConfig",
    "Name",
    "OktaConfig",
    "Policy",
    "ReconcileConfig",
    "ServerConfig",
    "SqlTarget",
    "StoreConfig",
    "is_loopback",
    "public_url",
]

#: What may stand in a header or a claim: no blank, no control character.
_PRINTABLE = r"^[!-~]+$"

_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    """The parts of an address. Its errors never repeat it: a careless one holds a password."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # raises when it is no number
    except ValueError:
        raise ValueError("is no address, such as https://example.okta.com") from None
    return parts


def _origin(parts: SplitResult) -> str:
    """Scheme, host and port in the one spelling: two spellings would look like two orgs."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    usual = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" if parts.port in (None, usual) else f"{parts.scheme}://{host}:{parts.port}"


def public_url(url: str) -> str:
    """The address of a hook, if Okta would call it: https, no white space, at most 1,024 characters.

    Raises:
        ValueError: Okta would refuse it (its guide on event hooks).
    """
    parts = _split(url)
    if parts.scheme != "https":
        raise ValueError("must start with https://: Okta calls nothing else")
    if not parts.hostname or parts.username or parts.password or parts.fragment or re.search(r"\s", url.strip()):
        raise ValueError("must be https://, a host and a path")
    if len(url) > 1024:
        raise ValueError("is longer than 1,024 characters, which Okta refuses")
    return url.strip()


class ServerConfig(Section):
    """Where the web process listens, and who may look."""

    secrets_from_files: ClassVar[tuple[str, ...]] = ("admin_token",)

    host: str = Field("127.0.0.1", description="Address to listen on. Put a TLS proxy in front of it.")
    port: int = Field(8787, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    admin_token: SecretStr | None = Field(
        None,
        description="Token of the API and the pages. Generated into `data_dir/admin-token` when not set.",
    )
    admin_token_file: Path | None = Field(None, description="File that holds `admin_token`.")
    open: bool = Field(
        False, description="No secret and no admin token at all. For `rosterhook demo` on loopback only."
    )

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Self:
        if self.open and not is_loopback(self.host):
            raise ValueError(f'open = true works on loopback only, not on "{self.host}"')
        return self


class OktaConfig(Section):
    """The org that is read, as the admin of an API token or as a service app. With neither, users are built from the
    events alone.
    """

    secrets_from_files: ClassVar[tuple[str, ...]] = ("token", "private_key")

    org_url: str | None = Field(None, description='Address of the org, such as "https://example.okta.com".')
    token: SecretStr | None = Field(None, description="API token (SSWS) of an admin who may read all users.")
    token_file: Path | None = Field(None, description="File that holds `token`.")
    client_id: str | None = Field(
        None, pattern=_PRINTABLE, description="Client ID of the service app to log in as; in place of `token`."
    )
    private_key: SecretStr | None = Field(
        None, description="Private key of the service app: PEM, or a JWK as JSON. RSA of 2048 bits or more, or EC."
    )
    private_key_file: Path | None = Field(None, description="File that holds `private_key`.")
    key_id: str | None = Field(
        None,
        pattern=_PRINTABLE,
        description="KID of the key in Okta. Needed for PEM when the app has several keys; a JWK brings its own.",
    )
    algorithm: Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"] | None = Field(
        None, description="How to sign; else the JWK's own way, or RS256, or for EC what fits the curve."
    )
    ca_file: Path | None = Field(
        None, description="PEM file of authorities to trust beside the system's, such as a TLS proxy's."
    )
    share: float = Field(0.5, gt=0, le=1, description="Part of each of Okta's rate limits that rosterhook may spend.")
    timeout_seconds: float = Field(30.0, gt=0, description="How long to wait for one answer of Okta's API.")

    @field_validator("org_url")
    @classmethod
    def _org_url_is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = _split(value)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError("must start with https:// (http is for loopback only)")
        if not parts.hostname or parts.username or parts.password:
            raise ValueError("must be https:// and a host, and nothing else")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f'has a path: give the org alone, "{_origin(parts)}"')
        if re.search(r"-admin\.(okta|oktapreview|okta-emea|okta-gov)\.com$", parts.hostname):
            raise ValueError(f'"{parts.hostname}" is the address of the Admin Console: leave out "-admin"')
        return _origin(parts)

    @field_validator("ca_file")
    @classmethod
    def _ca_file_holds_certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)
            except OSError as error:
                why = "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
                raise ValueError(f"cannot use {value}: {why}") from None
        return value

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        if self.client_id is not None and self.private_key is None:
            raise ValueError("there is a client_id, but no private_key to log in with: set private_key_file")
        if self.client_id is None and self.private_key is not None:
            raise ValueError("there is a private_key, but no client_id: set the Client ID of the service app")
        if self.token is not None and self.client_id is not None:
            raise ValueError("token and client_id with private_key are both set: keep one")
        if self.login is not None and self.org_url is None:
            what = "token" if self.login == "token" else "client_id"
            raise ValueError(f"there is a {what}, but no org_url to use it with")
        return self

    @property
    def login(self) -> Literal["token", "service_app"] | None:
        """How rosterhook logs in to the org; None when Okta's API is not asked at all."""
        if self.client_id is not None:
            return "service_app"
        return None if self.token is None else "token"


class HookConfig(Section):
    """What Okta's event hook sends. The path /userTransfer always works too."""

    secrets_from_files: ClassVar[tuple[str, ...]] = ("secret", "secrets")

    path: str = Field("/okta/events", pattern=r"^/[^?#\s]*$", description="Path of the hook.")
    secret: SecretStr | None = Field(
        None, description="Value of the header, exactly as Okta sends it. No secret, no start."
    )
    secret_file: Path | None = Field(None, description="File that holds `secret`.")
    secrets: tuple[SecretStr, ...] = Field((), description="Several valid secrets, while one is replaced.")
    secrets_file: Path | None = Field(None, description="File that holds `secrets`, one a line.")
    header: str = Field("Authorization", pattern=r"^[A-Za-z0-9-]+$", description="Name of the header with the secret.")
    url: str | None = Field(
        None, description='Public address that Okta calls, such as "https://hooks.example.com/okta/events".'
    )
    name: str = Field("rosterhook", min_length=1, max_length=255, description="Name of the hook in Okta.")
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024, description="A larger delivery is answered 413.")

    @field_validator("url")
    @classmethod
    def _url_is_one_that_okta_calls(cls, value: str | None) -> str | None:
        return None if value is None else public_url(value)

    @model_validator(mode="after")
    def _secrets_can_be_sent(self) -> Self:
        secrets = [secret.get_secret_value() for secret in (*self.secrets, *((self.secret,) if self.secret else ()))]
        if any(not value.strip() for value in secrets):
            raise ValueError("a secret is empty")
        if not all(_HEADER_VALUE.fullmatch(value) for value in secrets):
            raise ValueError(
                "a secret has what no header can carry: a blank at its end, a line break, or a letter that is not ASCII"
            )
        return self

    def accepted(self) -> tuple[bytes, ...]:
        """Every secret that is valid now, as bytes of the header's value."""
        one = (self.secret,) if self.secret is not None else ()
        return tuple(secret.get_secret_value().encode() for secret in (*one, *self.secrets))


class FollowerConfig(Section):
    """The System Log, which is followed beside the hook: what the hook misses comes back by it."""

    enabled: bool = Field(True, description="Follow the log. A service app needs the scope okta.logs.read for it.")
    poll_seconds: float = Field(
        60.0, ge=1, description="How often the log is asked while nothing happens; more often while something does."
    )


_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class ReconcileConfig(Section):
    """The full read of all users, and the proof that both sides are equal."""

    at: str = Field("02:30", description="Time of day of the nightly reconcile, by this machine's clock; empty: never.")
    first_load: bool = Field(True, description="Read every user at the first start.")

    @field_validator("at")
    @classmethod
    def _at_is_a_time_of_day(cls, value: str) -> str:
        if value and not _TIME_OF_DAY.fullmatch(value):
            raise ValueError('is no time of day such as "02:30"; "" is never')
        return value


class LogConfig(Section):
    """What the processes print on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level to print.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="`auto` is `console` on a terminal and `json` elsewhere."
    )


class StoreConfig(Section):
    """How long rosterhook keeps what it was told."""

    retention_days: float = Field(
        30.0, gt=0, description="Deliveries and events older than this are removed, once they are handed on."
    )


class Config(BaseModel):
    """All that rosterhook can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(Path("data"), description="Folder of the own store; made when it is absent.")
    server: ServerConfig = Field(default_factory=ServerConfig)
    okta: OktaConfig = Field(default_factory=OktaConfig)
    hook: HookConfig = Field(default_factory=HookConfig)
    follower: FollowerConfig = Field(default_factory=FollowerConfig)
    reconcile: ReconcileConfig = Field(default_factory=ReconcileConfig)
    log: LogConfig = Field(default_factory=LogConfig)
    store: StoreConfig = Field(default_factory=StoreConfig)
    targets: tuple[SqlTarget, ...] = Field((), description="Stores to write to.")

    @field_validator("targets")
    @classmethod
    def _names_are_unique(cls, targets: tuple[SqlTarget, ...]) -> tuple[SqlTarget, ...]:
        names = [target.name for target in targets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'two targets have the name "{name}"')
        return targets

    @model_validator(mode="before")
    @classmethod
    def _without_targets_sqlite_is_one(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("targets"):
            return data
        folder = data.get("data_dir", "data")
        url = f"sqlite:///{Path(folder if isinstance(folder, str | Path) else 'data') / 'users.db'}"
        return {**data, "targets": [{"name": "users", "type": "sql", "url": url}]}
