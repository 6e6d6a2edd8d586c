"""What people type or paste, made into what the configuration takes; each error says what to type instead."""

from __future__ import annotations

import re
import sqlite3
import string
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr, ValidationError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from rosterhook.config import TUTORIAL_COLUMNS, HookConfig, OktaConfig, SqlTarget, is_loopback, public_url
from rosterhook.data_dir import DEMO_MARK, refuse_demo
from rosterhook.errors import ConfigError
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.keys import load_signing_key
from rosterhook.private_files import is_open_to_others
from rosterhook.receiver import TUTORIAL_PATH
from rosterhook.targets.registry import build_target

HOOK_PATH = str(HookConfig.model_fields["path"].default)
#: Paths of the hook that work without a word in the configuration.
KNOWN_PATHS = (HOOK_PATH, TUTORIAL_PATH)

#: What comes along when something is copied: blanks, also the invisible ones, and quotes of every kind.
_AROUND = string.whitespace + "\u00a0\u200b\ufeff\"'`“”‘’"
_ADMIN_HOST = re.compile(r"-admin(\.(?:okta|oktapreview|okta-emea|okta-gov)\.com(?::\d+)?)$", re.IGNORECASE)


#: Okta's sites that have no users: whoever gives one of them lacks the first part of the org's name.
_OKTAS_OWN = re.compile(
    r"((www|admin|login|developer|help|support|status|trust|community|learning)\.)?"
    r"(okta|oktapreview|okta-emea|okta-gov)\.com",
    re.IGNORECASE,
)
ORG_HINT = "Okta shows it in the browser's address bar, such as https://example.okta.com."
HOOK_HINT = "It is the one of your TLS proxy, or of a tunnel, such as https://hooks.example.com/okta/events."
#: The `data_dir` to propose where `data` is a demo's.
OTHER_FOLDER = "rosterhook-data"


class Taken(NamedTuple):
    """An answer as it is taken.

    Attributes:
        value: what the configuration gets; "" is "not yet".
        note: what differs from what was typed, for people; "" when nothing does.
    """

    value: str
    note: str = ""


def bare(text: str) -> str:
    """The text without blanks and quotes around it."""
    return text.strip(_AROUND)


def org_address(text: str) -> Taken:
    """The origin of an org, from its name, its host, or any address that the browser shows in Okta.

    Raises:
        ConfigError: it is none.
    """
    given = bare(text)
    if not given:
        raise ConfigError("The address of the org is empty.", hint=ORG_HINT)
    is_name = re.fullmatch(r"[A-Za-z0-9-]+", given) and not is_loopback(given)
    parts = _address(f"{given}.okta.com" if is_name else given, "The address of the org", ORG_HINT)
    host = _ADMIN_HOST.sub(r"\1", parts.netloc)
    if _OKTAS_OWN.fullmatch(parts.hostname or ""):
        raise ConfigError(f"{parts.hostname} is Okta's own site, and no org.", hint=ORG_HINT)
    origin = _valid_org(f"{parts.scheme}://{host}")
    left_out = ['"-admin"'] if host != parts.netloc else []
    left_out += ["what follows the host"] if parts.path.strip("/") or parts.query or parts.fragment else []
    rest = f", without {' and '.join(left_out)}" if left_out else ""
    return Taken(origin, f"Taken as {origin}{rest}." if origin != given else "")


def hook_address(text: str) -> Taken:
    """The public address of the hook; "" is "later".

    Raises:
        ConfigError: Okta would not call it.
    """
    given = bare(text)
    if not given:
        return Taken("")
    parts = _address(given, "The address of the hook", HOOK_HINT)
    if parts.path in ("", "/"):
        parts = parts._replace(path=HOOK_PATH)
    try:
        address = public_url(parts.geturl())
    except ValueError as error:
        raise ConfigError(f"The address of the hook {error}.", hint=HOOK_HINT) from None
    if is_loopback(parts.hostname):
        return Taken(address, f"Okta calls from the internet: it will not reach {parts.hostname}.")
    return Taken(address, f"Taken as {address}." if address != given else "")


def hook_path(address: str) -> str:
    """The path that the service must answer at for this address; "" when it does so anyway."""
    path = urlsplit(address).path
    return "" if not address or path in KNOWN_PATHS else path


def api_token(text: str) -> Taken:
    """An API token; "" is "not yet".

    Raises:
        ConfigError: it has characters that no token has. The message holds no part of it.
    """
    given = bare(text)
    token = bare(re.sub(r"^(Authorization:\s*)?SSWS\s+", "", given, flags=re.IGNORECASE))
    if token:
        SswsAuth(SecretStr(token))
    return Taken(token, 'Taken without "SSWS".' if token != given else "")


def client_id(text: str) -> Taken:
    """The client id of a service app.

    Raises:
        ConfigError: it is empty, or has a blank.
    """
    given = bare(text)
    if not re.fullmatch(r"[!-~]+", given):
        raise ConfigError(
            "The client id is empty or has a blank.",
            hint="Admin Console: Applications > the app > General > Client ID, such as 0oa1abcd2EFGH3ijk4l5.",
        )
    return Taken(given)


def private_key_file(text: str) -> Taken:
    """The file with the private key of a service app.

    Raises:
        ConfigError: it cannot be read, or holds no private key that Okta could take.
    """

    def check(key: str) -> Taken:
        load_signing_key(key, name=bare(text))
        return Taken(key)

    return secret_file(text, check)


def secret_file(text: str, check: Callable[[str], Taken]) -> Taken:
    """A file that holds a secret, after a look into it.

    Args:
        check: of the secret itself.

    Raises:
        ConfigError: it cannot be read, is empty, or `check` refuses what is in it.
    """
    path = _path(text, "file")
    try:
        content = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"Cannot read {path}: {why}.") from None
    if not content:
        raise ConfigError(f"{path} is empty.")
    taken = check(content)
    if taken.value != content:
        raise ConfigError(
            f"{path} holds more than the value alone.", hint="Leave out words, quotes and blanks around it."
        )
    return Taken(str(path), _also_read_by_others(path))


def own_folder(text: str) -> Taken:
    """The folder of the own store.

    Raises:
        ConfigError: it is no folder, cannot be written, or belongs to a demo.
    """
    path = _path(text, "folder")
    try:
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{path} is a file, not a folder.", hint="Name another; it is made when it is absent.")
        if path.resolve() == Path(path.resolve().anchor):
            raise ConfigError(
                f"{path} is the root of the whole system.", hint="Name a folder of its own, such as data."
            )
        refuse_demo(path)
    except OSError as error:
        raise ConfigError(f"Cannot use {path}: {error.strerror}.", hint="Name another folder.") from None
    return Taken(str(path))


def usual_folder(folder: Path) -> str:
    """The `data_dir` to propose: not the one that a demo has made and will empty."""
    return OTHER_FOLDER if (folder / "data" / DEMO_MARK).exists() else "data"


def database_address(text: str) -> Taken:
    """The address of a database, from itself or from the path of a file of SQLite.

    Raises:
        ConfigError: it is neither. The message holds no part of an address.
    """
    given = bare(text)
    if not given:
        raise ConfigError("The address of the database is empty.", hint="Name a file, such as data/users.db.")
    if "://" in given:
        build_target(SqlTarget(name="app", type="sql", url=SecretStr(given)))
        return Taken(given)
    path = _path(given, "file")
    if "@" in given or path.is_dir():
        raise ConfigError(
            "That is neither a file of SQLite nor the address of a database.",
            hint="Write data/users.db, or postgresql://user@host/database, mysql://... or mariadb://...",
        )
    address = sqlite_address(path)
    build_target(SqlTarget(name="app", type="sql", url=SecretStr(address)))
    return Taken(address, f"Taken as {address}.")


def database_url(text: str) -> Taken:
    """The address of a database, as a file holds it: the configuration knows no paths there.

    Raises:
        ConfigError: it is none. The message holds no part of it.
    """
    if "://" not in text:
        raise ConfigError(
            "There is no address of a database in it.",
            hint="It holds one line, such as postgresql://user:password@host/database; for a SQLite file, take"
            " --target.",
        )
    return database_address(text)


def sqlite_address(path: Path) -> str:
    """The address of a file of SQLite."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def has_password(address: str) -> bool:
    """Tell whether the address of a database holds a password."""
    parsed = _parsed(address)
    return parsed is not None and bool(parsed.password or any("password" in key.lower() for key in parsed.query))


def lacks_password(address: str) -> bool:
    """Tell whether the address names a user, but no password."""
    parsed = _parsed(address)
    return parsed is not None and bool(parsed.username) and not has_password(address)


def with_password(address: str, password: str) -> str:
    """The address with a password, percent-encoded where it must be."""
    return make_url(address).set(password=password).render_as_string(hide_password=False)


def is_tutorials(address: str) -> bool:
    """Tell whether a file of SQLite has the table of Okta's tutorial."""
    parsed = _parsed(address)
    path = Path(parsed.database or "") if parsed is not None and parsed.get_backend_name() == "sqlite" else None
    if path is None or not path.is_file():
        return False
    try:
        # Read-only: a look must not make a file, nor change one.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            columns = {row[1] for row in db.execute("PRAGMA table_info(Users)")}
    except sqlite3.Error:
        return False
    return set(TUTORIAL_COLUMNS) <= columns


def _address(given: str, what: str, hint: str) -> SplitResult:
    if not given.isascii() or re.search(r"[\s\x00-\x1f\x7f]", given):
        raise ConfigError(f"{what} has a blank or another character that no address has.", hint=hint)
    try:
        parts = urlsplit(given if "://" in given else f"https://{given}")
        _ = parts.port  # raises when it is no number
    except ValueError:
        raise ConfigError(f"{what} is none.", hint=hint) from None
    return parts


def _valid_org(origin: str) -> str:
    try:
        return OktaConfig(org_url=origin).org_url or ""
    except ValidationError as error:
        why = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
    raise ConfigError(f"The address of the org {why}.", hint=ORG_HINT)


def _path(text: str, what: str) -> Path:
    given = bare(text)
    if not given or not given.isprintable():
        raise ConfigError(f"The path of the {what} is empty or has a character that cannot be printed.")
    try:
        return Path(given).expanduser()  # the configuration does not know "~"
    except RuntimeError:
        raise ConfigError(f"There is no home folder for {given}.", hint="Write the whole path.") from None


def _parsed(address: str) -> URL | None:
    try:
        return make_url(address)
    except (ArgumentError, ValueError):
        return None


def _also_read_by_others(path: Path) -> str:
    return f"Others may read {path}: chmod 600 {path}" if is_open_to_others(path) else ""
