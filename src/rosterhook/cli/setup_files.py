"""The files that `rosterhook init` makes: their text, and writing them whole or not at all."""

from __future__ import annotations

import io
import itertools
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dotenv.parser import parse_stream

from rosterhook.cli.answers import has_password, hook_path, is_tutorials
from rosterhook.config.keys import ENV_PREFIX
from rosterhook.config.sources import DEFAULT_FILE
from rosterhook.errors import RosterhookError
from rosterhook.private_files import create_privately, sync_folder

DOTENV = ".env"
#: Only a database's address with a password goes there: a list such as [[targets]] fits no line of `.env`.
DATABASE_FILE = Path("secrets/app-db-url")

SECRET = "ROSTERHOOK_HOOK__SECRET"  # noqa: S105 - a name
TOKEN = "ROSTERHOOK_OKTA__TOKEN"  # noqa: S105 - a name
#: Variables in `.env` that would win over the answers in the file.
ANSWERED = re.compile(
    r"ROSTERHOOK_(CONFIG|DATA_DIR|TARGETS|HOOK__(URL|PATH)"
    r"|OKTA__(ORG_URL|TOKEN|TOKEN_FILE|CLIENT_ID|PRIVATE_KEY|PRIVATE_KEY_FILE|KEY_ID|ALGORITHM))",
    re.IGNORECASE,
)
#: Each of them is a secret of the hook, and stays: Okta has it.
HOOK_SECRETS = re.compile(r"ROSTERHOOK_HOOK__SECRETS?(_FILE)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Login:
    """How Okta's API is asked: by token, by service app, or, when all is empty, not at all.

    Attributes:
        token: kept in `.env`.
        token_file: in place of `token`.
        kept: `.env` has a token already, and it stays there.
    """

    token: str = ""
    token_file: str = ""
    kept: bool = False
    client_id: str = ""
    private_key_file: str = ""

    def __repr__(self) -> str:
        return f"Login(client_id={self.client_id!r}, token=**********)"

    @property
    def given(self) -> bool:
        """There is one."""
        return bool(self.token or self.token_file or self.kept or self.client_id)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the configuration is made of.

    Attributes:
        hook_url: "" when it is not known yet.
        target_url: address of the database; "" when `target_file` names a file that holds it.
    """

    org_url: str
    login: Login
    hook_url: str
    data_dir: str
    target_url: str = ""
    target_file: str = ""

    def __repr__(self) -> str:
        return f"Answers(org_url={self.org_url!r}, data_dir={self.data_dir!r})"


@dataclass(frozen=True, slots=True)
class Draft:
    """One file to be written.

    Attributes:
        shown: the same as `text`, without secrets.
    """

    path: Path
    text: str
    shown: str
    mode: int = 0o600

    def __repr__(self) -> str:
        return f"Draft({self.path})"


def toml(answers: Answers) -> str:
    """The text of `rosterhook.toml`. It holds no secret."""
    lines = [
        "# Made by `rosterhook init`. Secrets are not here. Every key: docs/configuration.md.",
        f"data_dir = {_quoted(answers.data_dir)}  # rosterhook's own store: keep it, and back it up",
        "",
        "[okta]",
        f"org_url = {_quoted(answers.org_url)}",
        *_login_lines(answers.login),
        "",
        "[hook]",
        *_hook_lines(answers.hook_url),
        "",
        "[[targets]]",
        'name = "app"',
        'type = "sql"',
        *_database_lines(answers),
    ]
    return "\n".join(lines) + "\n"


def dotenv(old: str, answers: Answers) -> tuple[str, str]:
    """The text of `.env`, and the same without secrets: what others have there, and then our lines.

    A secret of the hook that is there is kept, because Okta has it.
    """
    kept = [each for each in parse_stream(io.StringIO(old)) if not ANSWERED.fullmatch(each.key or "")]
    before = "".join(each.original.string for each in kept)
    new = {TOKEN: answers.login.token} if answers.login.token else {}
    if not any(HOOK_SECRETS.fullmatch(each.key or "") for each in kept):
        new[SECRET] = secrets.token_urlsafe(32)
    if before and not before.endswith("\n"):
        before += "\n"
    there = before.count("\n")
    shown = f"# ({there} {'line' if there == 1 else 'lines'} that {'is' if there == 1 else 'are'} there)\n"
    return before + _variables(new), (shown if there else "") + _variables(dict.fromkeys(new, "**********"))


def has_ours(old: str) -> bool:
    """Tell whether a `.env` sets anything of rosterhook."""
    return any((each.key or "").upper().startswith(ENV_PREFIX) for each in parse_stream(io.StringIO(old)))


def has_hook_secret(old: str) -> bool:
    """Tell whether a `.env` has a secret of the hook."""
    return any(HOOK_SECRETS.fullmatch(each.key or "") for each in parse_stream(io.StringIO(old)))


def drafts(answers: Answers, old_dotenv: str) -> list[Draft]:
    """Every file to be written, the one that brings them to life last."""
    files = []
    if needs_file(answers):
        files.append(Draft(DATABASE_FILE, answers.target_url + "\n", "**********\n"))
    text, shown = dotenv(old_dotenv, answers)
    files.append(Draft(Path(DOTENV), text, shown))
    whole = toml(answers)
    return [*files, Draft(Path(DEFAULT_FILE), whole, whole, 0o644)]


def needs_file(answers: Answers) -> bool:
    """Tell whether the address of the database is a secret that needs a file of its own."""
    return has_password(answers.target_url)


def write(folder: Path, files: Sequence[Draft], *, keep: bool, check: Callable[[Path], None]) -> list[Path]:
    """Write every file, or none: they are made aside, whole and on disk, and then take their places.

    Args:
        folder: where the paths begin.
        keep: copy what is replaced to `<name>.bak` first.
        check: gets the folder that has the new files under their names, and raises when they are not good.

    Returns:
        The copies that were kept.

    Raises:
        RosterhookError: the folder cannot be written. Nothing was changed.
    """
    try:
        # `made` ends first: what it holds stands in folders that `undo` removes.
        with ExitStack() as undo, ExitStack() as made:
            stage = _aside(folder, made)
            for draft in files:
                create_privately(stage / draft.path.name, draft.text.encode(), draft.mode)
            check(stage)
            places = [_staged(folder, stage, draft, undo, made) for draft in files]
            copies = [_backup(place, undo) for _, place in places if keep and place.exists()]
            for source, place in places:
                _put(source, place, undo)
            for parent in {place.parent for _, place in places}:
                sync_folder(parent)
            undo.pop_all()
            return copies
    except OSError as error:
        raise RosterhookError(
            f"Cannot write into {folder.absolute()}: {error.strerror}.",
            hint="Make room, or mend the rights of the folder and of the files in it, and start again.",
        ) from None


def _login_lines(login: Login) -> list[str]:
    if login.token_file:
        return [f"token_file = {_quoted(login.token_file)}"]
    if login.client_id:
        return [f"client_id = {_quoted(login.client_id)}", f"private_key_file = {_quoted(login.private_key_file)}"]
    if login.given:
        return ["# The API token is in .env."]
    return ["# No login yet: users are built from events alone. See docs/operating.md."]


def _hook_lines(url: str) -> list[str]:
    if not url:
        return ['# url = "https://<your host>/okta/events"', "# The secret is in .env."]
    path = hook_path(url)
    lines = [f"path = {_quoted(path)}  # as it arrives here; a proxy may change it"] if path else []
    return [f"url = {_quoted(url)}", *lines, "# The secret is in .env."]


def _database_lines(answers: Answers) -> list[str]:
    if answers.target_file:
        return [f"url_file = {_quoted(answers.target_file)}"]
    if needs_file(answers):
        return [f"url_file = {_quoted(str(DATABASE_FILE))}"]
    # Not for a server: to look into it needs the network.
    preset = ['preset = "tutorial"'] if is_tutorials(answers.target_url) else []
    return [f"url = {_quoted(answers.target_url)}", *preset]


def _quoted(text: str) -> str:
    """Text as TOML: of JSON's escapes, it knows all that JSON needs."""
    return json.dumps(text, ensure_ascii=False)


def _variables(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={_plain_or_quoted(value)}\n" for name, value in values.items())


def _plain_or_quoted(value: str) -> str:
    if re.fullmatch(r"[\w.~*-]+", value, re.ASCII):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _aside(folder: Path, made: ExitStack) -> Path:
    """A folder for its owner alone, which is gone at the end."""
    aside = TemporaryDirectory(prefix=".rosterhook-init-", dir=folder, ignore_cleanup_errors=True)
    return Path(made.enter_context(aside))


def _staged(folder: Path, stage: Path, draft: Draft, undo: ExitStack, made: ExitStack) -> tuple[Path, Path]:
    """The new file and its place, in one file system: only there a file takes the place of another whole."""
    # A link, such as of `.env` to a file elsewhere, goes on to be one.
    place = (folder / draft.path).resolve()
    if place.parent == folder.resolve():
        return stage / draft.path.name, place
    if not place.parent.exists():
        place.parent.mkdir(mode=0o700)
        undo.callback(place.parent.rmdir)
    source = _aside(place.parent, made) / place.name
    create_privately(source, draft.text.encode(), draft.mode)
    return source, place


def _put(source: Path, place: Path, undo: ExitStack) -> None:
    old = place.read_bytes() if place.exists() else None
    mode = place.stat().st_mode & 0o777 if old is not None else 0
    source.replace(place)
    undo.callback(_restore, place, old, mode)


def _restore(place: Path, old: bytes | None, mode: int) -> None:
    place.unlink()
    if old is not None:
        create_privately(place, old, mode)


def _backup(path: Path, undo: ExitStack) -> Path:
    content = path.read_bytes()
    for number in itertools.count(1):
        copy = path.with_name(f"{path.name}.bak{number if number > 1 else ''}")
        with suppress(FileExistsError):
            create_privately(copy, content)
            undo.callback(copy.unlink)
            return copy
    raise AssertionError  # count() does not end
