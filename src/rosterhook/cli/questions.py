"""The five questions of `rosterhook init`: an option answers first, then a person, then the default."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from rosterhook.cli import answers
from rosterhook.cli.answers import Taken
from rosterhook.cli.common import hanging, out, plain
from rosterhook.cli.present import Known
from rosterhook.cli.setup_files import DOTENV, Answers, Login
from rosterhook.errors import ConfigError, RosterhookError
from rosterhook.observe import without_password
from rosterhook.okta.connect import MANAGE_EVENT_HOOKS, READ_EVENT_HOOKS, READ_LOGS, READ_USERS

STDIN = "-"
INDENT = 3
LOGINS = {"1": "API token", "2": "service app (OAuth)", "3": "not yet: users are built from events alone"}

Take = Callable[[str], Taken]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line answers; None is not answered. No secret is among them: only files that hold one."""

    org_url: Annotated[str | None, Parameter(help="The Okta org: example, or example.okta.com.")] = None
    token_file: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="File with the API token; - reads it from stdin.")
    ] = None
    client_id: Annotated[str | None, Parameter(help="Client id of a service app, in place of a token.")] = None
    private_key_file: Annotated[str | None, Parameter(help="Private key of the service app: PEM or JWK.")] = None
    events_only: Annotated[bool, Parameter(negative="", help="Do not log in to Okta yet.")] = False
    hook_url: Annotated[str | None, Parameter(help="Public https:// address of the hook; empty: later.")] = None
    data_dir: Annotated[str | None, Parameter(help="Folder of rosterhook's own store (data).")] = None
    target: Annotated[
        str | None, Parameter(help="SQLite file (users.db in data_dir), or a database, without its password.")
    ] = None
    target_file: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="File with a database's address; - reads it from stdin.")
    ] = None

    def refuse_contradictions(self) -> None:
        """See that no two of them answer one question.

        Raises:
            ConfigError: two do, or one needs another.
        """
        logins = {
            "--token-file": self.token_file,
            "--client-id": self.client_id,
            "--events-only": self.events_only,
        }
        self._only_one(logins)
        self._only_one({"--target": self.target, "--target-file": self.target_file})
        self._only_one({"--token-file -": self.token_file == STDIN, "--target-file -": self.target_file == STDIN})
        if (self.client_id is None) != (self.private_key_file is None):
            raise ConfigError("A service app needs both --client-id and --private-key-file.")

    @staticmethod
    def _only_one(named: Mapping[str, object]) -> None:
        given = [name for name, value in named.items() if value is not None and value is not False]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} do not go together.", hint="Keep one of them.")


class Questions:
    """Asks what no option answers.

    Args:
        options: of the command line.
        known: becomes the default.
        folder: where the files will be.
        somebody: there is somebody to ask; else the defaults are taken.
    """

    def __init__(self, options: Options, known: Known, folder: Path, *, somebody: bool) -> None:
        self._options = options
        self._known = known
        self._folder = folder
        self._somebody = somebody

    def answers(self) -> Answers:
        """All five, in their order.

        Raises:
            RosterhookError: an option is wrong, or an answer has no default and there is nobody to ask.
            EOFError: whoever was asked has left.
        """
        org = self._org()
        login = self._login()
        hook = self._hook()
        folder = self._data_dir()
        url, file = self._database(folder)
        return Answers(org, login, hook, folder, url, file)

    def _org(self) -> str:
        self._title(1, "Your Okta org", "its address in the browser will do, such as example.okta.com")
        return self._ask("--org-url", self._options.org_url, self._known.org_url or None, answers.org_address)

    def _login(self) -> Login:
        options = self._options
        self._title(2, "How rosterhook logs in to Okta")
        if options.token_file is not None:
            return self._token_from(options.token_file)
        if options.client_id is not None:
            self._taken("--client-id", "2", self._possible)
            return self._service_app()
        if options.events_only:
            self._taken("--events-only", "3", self._possible)
            return Login()
        if not self._somebody:
            return self._kept()
        for number, what in LOGINS.items():
            out.print(f"   {number}  {what}", markup=False)
        choice = self._ask("", None, self._usual_login(), self._possible)
        return {"1": self._token, "2": self._service_app, "3": Login}[choice]()

    def _usual_login(self) -> str:
        known = self._known
        if known.token or known.token_file or not known.there:
            return "1"
        return "2" if known.client_id else "3"

    def _possible(self, text: str) -> Taken:
        choice = answers.bare(text)
        if choice not in LOGINS:
            raise ConfigError(f"Type one of {', '.join(LOGINS)}.")
        if choice != "1" and self._known.tutorials_token:
            raise ConfigError(
                f"{DOTENV} has okta_key, the tutorial's API token, which would be used all the same.",
                hint=f"Stay with the token, or end this, remove okta_key from {DOTENV}, and start again.",
            )
        return Taken(choice)

    def _token(self) -> Login:
        there = bool(self._known.token or self._known.token_file)
        self._say(
            f"   The token is not shown. Admin Console: Security > API > Tokens{'' if there else '; empty: later'}."
        )
        token = self._ask(
            "--token-file", None, "", answers.api_token, label="[keep the token]" if there else "", hidden=True
        )
        if not token and not there:
            self._say("   No token yet: users are built from events alone, until .env has ROSTERHOOK_OKTA__TOKEN.")
        return Login(token=token) if token else self._kept()

    def _token_from(self, file: str) -> Login:
        if file != STDIN:
            return Login(
                token_file=self._taken("--token-file", file, lambda f: answers.secret_file(f, answers.api_token))
            )
        token = self._taken("--token-file", sys.stdin.read(), answers.api_token)
        if not token:
            raise ConfigError("--token-file -: standard input is empty.")
        return Login(token=token)

    def _kept(self) -> Login:
        """The login that is there, of whichever kind."""
        known = self._known
        if known.token:
            self._say("   The token that is there is used.")
            # The tutorial's key is understood as it stands; ours is written anew with the others.
            return Login(kept=True) if known.tutorials_token else Login(token=known.token)
        if known.token_file:
            return self._token_from(known.token_file)
        return self._service_app() if known.client_id and known.private_key_file else Login()

    def _service_app(self) -> Login:
        options, known = self._options, self._known
        self._say(
            f"   The app needs an admin role and the scopes {READ_USERS}, {READ_LOGS} and, for `rosterhook hook`,"
            f" {READ_EVENT_HOOKS} and {MANAGE_EVENT_HOOKS}. Its private key is a PEM or JSON file."
        )
        return Login(
            client_id=self._ask(
                "--client-id", options.client_id, known.client_id or None, answers.client_id, label="client id"
            ),
            private_key_file=self._ask(
                "--private-key-file",
                options.private_key_file,
                known.private_key_file or None,
                answers.private_key_file,
                label="private key file",
            ),
        )

    def _hook(self) -> str:
        self._title(3, "The public address of the hook", "https://, such as https://hooks.example.com/okta/events")
        known = self._known.hook_url
        return self._ask("--hook-url", self._options.hook_url, known, answers.hook_address, shown=known or "later")

    def _data_dir(self) -> str:
        usual = self._known.data_dir or answers.usual_folder(self._folder)
        self._title(4, "The folder of rosterhook's own store", "what is to be backed up")
        if usual == answers.OTHER_FOLDER and self._options.data_dir is None:
            self._say("   `data` is the demo's, which empties it at its next start.")
        return self._ask("--data-dir", self._options.data_dir, usual, answers.own_folder)

    def _database(self, folder: str) -> tuple[str, str]:
        """The address of the database, or the file that holds it."""
        file, given = self._options.target_file, self._options.target
        self._title(
            5,
            "Where users are written",
            "a SQLite file, or postgresql://user@host/database (mysql://, mariadb://) without its password,"
            " which is asked for unseen",
        )
        if file == STDIN:
            return self._taken("--target-file", sys.stdin.read(), answers.database_url), ""
        if file is not None:
            return "", self._taken("--target-file", file, lambda f: answers.secret_file(f, answers.database_url))
        if given is not None and answers.has_password(given):
            raise ConfigError(
                "--target holds a password, which other users of this machine and the shell's history can see.",
                hint="Leave the password out: it is asked for; or give the address by --target-file.",
            )
        default, shown = self._usual_database(folder)
        kept = self._known.target_file
        take = answers.database_address
        address = self._ask(
            "--target", given, default, lambda t: Taken("") if kept and t == default else take(t), shown=shown
        )
        if not address:
            return "", kept
        if self._somebody and address != default and answers.lacks_password(address):
            password = self._read("password (not shown; empty: none)", "", hidden=True)
            address = answers.with_password(address, password) if password else address
        if answers.is_tutorials(address):
            self._say(
                '   It has the tutorial\'s table: preset = "tutorial". Rows of deactivated users will be removed.'
            )
        return address, ""

    def _usual_database(self, folder: str) -> tuple[str, str]:
        """What to propose, and how it is shown: no password is. For a file that holds the address, these words."""
        if kept := self._known.target_file:
            return (keep := f"the address in {kept}"), keep
        if known := self._known.target_url:
            return known, without_password(known)
        usual = Path(folder) / "users.db"
        return answers.sqlite_address(usual), str(usual)

    def _ask(
        self,
        option: str,
        given: str | None,
        default: str | None,
        take: Take,
        *,
        label: str = "",
        shown: str | None = None,
        hidden: bool = False,
    ) -> str:
        if given is not None:
            return self._taken(option, given, take)
        if not self._somebody:
            if default is None:
                raise ConfigError("There is no terminal to ask at.", hint=f"Answer with {option}.")
            return self._taken(option, default, take)
        proposal = default if shown is None else shown
        while True:
            text = self._read(label, "" if hidden else proposal or "", hidden=hidden) or default or ""
            try:
                return self._noted(take(text))
            except RosterhookError as error:
                self._say(f"   {error.message}", "red")
                self._say(f"   {error.hint}" if error.hint else "")

    def _taken(self, option: str, text: str, take: Take) -> str:
        try:
            return self._noted(take(text))
        except RosterhookError as error:
            raise ConfigError(f"{option}: {error.message}", hint=error.hint) from None

    def _noted(self, taken: Taken) -> str:
        if taken.note:
            self._say(f"   {taken.note}", "dim")
        return taken.value

    def _read(self, label: str, proposal: str, *, hidden: bool = False) -> str:
        if hidden:
            # It prints the prompt itself, once nothing typed is shown any more.
            return getpass(f"   {label} > " if label else "   > ")
        proposed = (f"[{proposal}] ", "dim") if proposal else ""
        return out.input(Text.assemble("   ", f"{label} " if label else "", proposed, "> "))

    def _title(self, number: int, what: str, more: str = "") -> None:
        if self._somebody:
            title = Text.assemble((f"{number}. {what}", "bold"), f": {more}" if more else "")
            out.print()
            out.print(hanging(title, INDENT), soft_wrap=True)

    def _say(self, text: str, style: str = "") -> None:
        if text:
            out.print(hanging(plain(text, style), INDENT), soft_wrap=True)
