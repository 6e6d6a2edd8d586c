"""The configuration: one model, read from rosterhook.toml, the environment and `.env`.

The environment wins over `.env`, and both win over the file. docs/configuration.md is generated from here.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from rosterhook.config.section import Section
from rosterhook.mapping import check_path

#: What may happen to a user's row: left as it is, marked by the status column, or removed.
Policy = Literal["keep", "mark", "delete"]

#: Columns of a `users` table when the configuration names none.
DEFAULT_COLUMNS = {
    "id": "id",
    "status": "status",
    "login": "profile.login",
    "email": "profile.email",
    "first_name": "profile.firstName",
    "last_name": "profile.lastName",
    "mobile_phone": "profile.mobilePhone",
    "created": "created",
    "last_updated": "lastUpdated",
}

#: The tutorial's own table.
TUTORIAL_COLUMNS = {
    "firstName": "profile.firstName",
    "lastName": "profile.lastName",
    "email": "profile.email",
    "mobilePhone": "profile.mobilePhone",
    "oktaId": "id",
}

#: What may stand in a header or a claim: no blank, no control character.
_PRINTABLE = r"^[!-~]+$"

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


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
    """The System Log follower. It comes with a later release; nothing reads this section yet."""

    poll_seconds: float = Field(60.0, gt=0, description="How often Okta's System Log is asked.")


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


class SqlTarget(Section):
    """A table in SQLite, PostgreSQL, MySQL or MariaDB."""

    secrets_from_files: ClassVar[tuple[str, ...]] = ("url",)

    name: Name = Field(description="Name of the target in `status`, logs and commands.")
    type: Literal["sql"] = Field(description="Kind of target.")
    url: SecretStr = Field(
        description="Address of the database: `sqlite:///data/users.db`, `postgresql://user:password@host/db`,"
        " `mysql://user:password@host/db` or `mariadb://...`."
    )
    url_file: Path | None = Field(None, description="File that holds `url`.")
    table: str = Field("users", min_length=1, description="Table to write; made when it is absent.")
    preset: Literal["tutorial"] | None = Field(
        None, description="`tutorial` is the table `Users` of Okta's tutorial, columns and all."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Column to attribute of the Okta user. One column must be `id`; it is the key.",
    )
    version_column: str = Field(
        "rosterhook_version",
        description="Integer column that keeps an older write from winning. Empty: do without it.",
    )
    deactivated: Policy = Field("mark", description="Row of a deactivated user: keep, mark or delete.")
    suspended: Policy = Field("mark", description="Row of a suspended user: keep, mark or delete.")
    deleted: Policy = Field("mark", description="Row of a user who is gone from Okta: keep, mark or delete.")

    @model_validator(mode="before")
    @classmethod
    def _fill_columns(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("preset") != "tutorial":
            return {**data, "columns": data.get("columns") or DEFAULT_COLUMNS}
        fixed = {"table": "Users", "columns": TUTORIAL_COLUMNS, "version_column": ""}
        for key in fixed:
            if key in data and data[key] != fixed[key]:
                raise ValueError(f'{key} is fixed by preset = "tutorial": leave it out')
        # The tutorial's table has no status column to mark: who may not sign in any more is not in it.
        return {"deactivated": "delete", "suspended": "keep", "deleted": "delete", **data, **fixed}

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        for path in self.columns.values():
            check_path(path)
        if list(self.columns.values()).count("id") != 1:
            raise ValueError('exactly one column must be "id", the key of Okta\'s users')
        marks = [key for key in ("deactivated", "suspended", "deleted") if getattr(self, key) == "mark"]
        if marks and "status" not in self.columns.values():
            raise ValueError(f'{marks[0]} = "mark" needs a column that is "status"; add one, or say "keep" or "delete"')
        if self.version_column in self.columns:
            raise ValueError(f'version_column "{self.version_column}" is in columns too')
        return self

    @property
    def key_column(self) -> str:
        """The column that holds Okta's id of the user."""
        return next(column for column, path in self.columns.items() if path == "id")


class Config(BaseModel):
    """All that rosterhook can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(Path("data"), description="Folder of the own store; made when it is absent.")
    server: ServerConfig = Field(default_factory=ServerConfig)
    okta: OktaConfig = Field(default_factory=OktaConfig)
    hook: HookConfig = Field(default_factory=HookConfig)
    follower: FollowerConfig = Field(default_factory=FollowerConfig)
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
