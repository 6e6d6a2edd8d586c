"""`rosterhook init`: what it takes for an answer, what it writes, and that it harms nothing that is there."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from init_dialog import PASSWORD, TOKEN, Dialog, Init, everything

from rosterhook.cli import common, setup_files
from rosterhook.config.load import load_config
from rosterhook.errors import ConfigError

TUTORIAL = f"# the tutorial's\r\nokta_url=https://dev-1-admin.okta.com/\nokta_key='{TOKEN}'"

PROMPT = re.compile(rb"(?:   |\] |\) )> $")


def test_with_options_alone_nothing_is_asked(init: Init, tmp_path: Path) -> None:
    """Options answer every question, and what they say is what the service will read."""
    (tmp_path / "token").write_text(TOKEN)
    hook = "https://h.example.com/in"
    init("--org-url=example", "--token-file=token", f"--hook-url={hook}", "--data-dir=own", "--target=u.db")
    config = load_config(environ={})
    assert config.okta.org_url == "https://example.okta.com"
    assert config.okta.token is not None and config.okta.token.get_secret_value() == TOKEN
    assert (config.hook.url, config.hook.path) == (hook, "/in")
    assert (str(config.data_dir), config.targets[0].url.get_secret_value()) == ("own", "sqlite:///u.db")
    assert len(config.hook.accepted()[0]) >= 32


def test_defaults_are_enough(init: Init, tmp_path: Path) -> None:
    """With the org alone there is a configuration that works: events alone, `data`, SQLite. No network is needed."""
    printed = init("--org-url=example", "--yes")
    config = load_config(environ={})
    assert config.okta.token is None and str(config.data_dir) == "data"
    assert config.targets[0].url.get_secret_value() == "sqlite:///data/users.db"
    assert sorted(everything(tmp_path)) == [".env", "rosterhook.toml"]
    assert "Event Hooks > Create Event Hook" in printed


def test_a_service_app_is_configured(init: Init, tmp_path: Path) -> None:
    """Client id and key file stand in the file, the key itself nowhere."""
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "app.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    init("--org-url=example", "--client-id=0oa1abcd", "--private-key-file=app.pem")
    okta = load_config(environ={}).okta
    assert okta.client_id == "0oa1abcd"
    assert b"PRIVATE KEY" not in (tmp_path / "rosterhook.toml").read_bytes() + (tmp_path / ".env").read_bytes()


def test_without_a_terminal_a_missing_answer_names_its_option(init: Init, tmp_path: Path) -> None:
    """The org has no default: a script is told which option to give."""
    with pytest.raises(ConfigError, match="Answer with --org-url"):
        init()
    assert everything(tmp_path) == {}


@pytest.mark.parametrize(
    "options",
    [
        ["--token-file=t", "--events-only"],
        ["--client-id=a"],
        ["--private-key-file=a"],
        ["--token-file=t", "--client-id=a", "--private-key-file=b"],
        ["--target=a", "--target-file=b"],
        ["--token-file", "-", "--target-file", "-"],
    ],
)
def test_options_that_contradict_are_refused(init: Init, tmp_path: Path, options: list[str]) -> None:
    """Two answers to one question, or half of one, write nothing."""
    with pytest.raises(ConfigError):
        init("--org-url=example", *options)
    assert everything(tmp_path) == {}


def test_a_token_can_come_by_standard_input(init: Init, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret manager pipes the token in; it goes into .env alone."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"SSWS {TOKEN}\n"))
    printed = init("--org-url=example", "--token-file", "-")
    token = load_config(environ={}).okta.token
    assert token is not None and token.get_secret_value() == TOKEN
    assert TOKEN not in printed + (tmp_path / "rosterhook.toml").read_text()


def test_an_empty_standard_input_is_no_token(init: Init, tmp_path: Path) -> None:
    """Where the secret did not arrive, nothing is written."""
    with pytest.raises(ConfigError, match="standard input is empty"):
        init("--org-url=example", "--token-file", "-")
    assert everything(tmp_path) == {}


def test_a_password_is_no_option(init: Init, tmp_path: Path) -> None:
    """The address of a database with its password would stand in the list of processes: refused, not repeated."""
    with pytest.raises(ConfigError, match="--target holds a password") as refused:
        init("--org-url=example", "--target=postgresql://app:hunter2@h/db")
    assert "hunter2" not in str(refused.value)
    assert everything(tmp_path) == {}


def test_a_dialog_asks_five_questions(init: Init, dialog: Dialog, tmp_path: Path) -> None:
    """Typed answers are what the service reads; secrets are asked for unseen and printed nowhere."""
    asked = dialog("example-admin.okta.com", "1", f"SSWS {TOKEN}", "", "own", "postgresql://app@h/db", PASSWORD)
    printed = init()
    config = load_config(environ={})
    token, url = config.okta.token, config.targets[0].url.get_secret_value()
    assert config.okta.org_url == "https://example.okta.com"
    assert token is not None and token.get_secret_value() == TOKEN
    assert setup_files.DATABASE_FILE.read_text().strip() == url
    assert PASSWORD in common.secrets_of(config)
    assert [hidden for _, hidden in asked] == [False, False, True, False, False, False, True]
    hook_secret = config.hook.accepted()[0].decode()
    for secret in (TOKEN, PASSWORD, hook_secret, url):
        assert secret not in printed
        assert secret not in (tmp_path / "rosterhook.toml").read_text()


def test_a_wrong_answer_is_asked_for_again(init: Init, dialog: Dialog) -> None:
    """A mistake costs one line: it is told, and the same question comes again."""
    dialog("", "http://example.com", "example", "7", "3", "http://h.example.com", "", "", "oracle://h/d", "")
    printed = init()
    assert load_config(environ={}).okta.org_url == "https://example.okta.com"
    for why in ("is empty", "must start with https://", "Type one of 1, 2, 3", "Okta calls nothing else", "oracle://"):
        assert why in printed


@pytest.mark.parametrize("answered", range(5))
@pytest.mark.parametrize("end", [KeyboardInterrupt, EOFError])
def test_leaving_half_way_writes_nothing(
    init: Init,
    dialog: Dialog,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    answered: int,
    end: type[BaseException],
) -> None:
    """Ctrl-C or Ctrl-D at any question leaves the folder as it was."""
    dialog(*["example", "3", "", "", ""][:answered], end())
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        init()
    assert "Nothing was written." in capsys.readouterr().out
    assert everything(tmp_path) == {}


def test_on_a_terminal_no_secret_is_seen(tmp_path: Path) -> None:
    """In a real terminal, what is typed for the token and the password does not appear; and no word is cut."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rosterhook", "init"],
        stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, start_new_session=True,
        env={**{k: v for k, v in os.environ.items() if not k.startswith("ROSTERHOOK_")}, "TERM": "dumb"},
    )  # fmt: skip
    os.close(slave)
    screen = b""
    with process, os.fdopen(master, "r+b", buffering=0) as terminal:
        for line in ("example", "1", TOKEN, "", "", "postgresql://app@h/db", PASSWORD):
            while not PROMPT.search(screen):
                screen += _read(terminal)
            screen = screen.replace(b"> ", b">\n")  # answered
            terminal.write(line.encode() + b"\n")
        while chunk := _read(terminal):
            screen += chunk
    assert process.returncode == 0, screen.decode()
    assert b"postgresql://app@h/db" in screen
    assert TOKEN.encode() not in screen
    assert PASSWORD.encode() not in screen
    lines = re.sub(r"\x1b\[[0-9;]*m", "", screen.decode()).splitlines()
    assert max(map(len, lines)) <= 80
    [start] = [number for number, line in enumerate(lines) if line.startswith("5. Where users are written")]
    assert lines[start + 1].startswith("   (mysql://") and lines[start + 1].endswith("is asked for unseen")
    with contextlib.chdir(tmp_path):
        assert load_config(environ={}).okta.token is not None


def _read(terminal: io.FileIO) -> bytes:
    try:
        return terminal.read(4096) or b""
    except OSError:  # the other side is closed
        return b""


def test_nothing_that_is_there_is_overwritten(init: Init, tmp_path: Path) -> None:
    """A second `init` stops, and says how to look and how to replace."""
    init("--org-url=example")
    before = everything(tmp_path)
    with pytest.raises(ConfigError, match=r"already: rosterhook.toml and .env") as refused:
        init("--org-url=other")
    assert "--force" in refused.value.hint
    assert everything(tmp_path) == before


def test_a_databases_address_is_not_overwritten(init: Init, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file of an earlier installation stops a new one that needs it too."""
    (tmp_path / "secrets").mkdir()
    setup_files.DATABASE_FILE.write_text("mine")
    monkeypatch.setattr(sys, "stdin", io.StringIO("mysql://app:hunter2@h/db"))
    with pytest.raises(ConfigError, match="secrets/app-db-url"):
        init("--org-url=example", "--target-file", "-")
    assert everything(tmp_path) == {"secrets/app-db-url": b"mine"}


def test_a_file_without_an_address_is_told_so(init: Init, tmp_path: Path) -> None:
    """The hint says what such a file holds; neither "SSWS" nor a path of SQLite is of any use there."""
    (tmp_path / "database").write_text("users.db")
    with pytest.raises(ConfigError, match="--target-file: There is no address of a database in it") as refused:
        init("--org-url=example", "--target-file=database")
    assert "postgresql://user:password@host/database" in refused.value.hint


def test_the_tutorials_env_stays_and_answers(init: Init, tmp_path: Path) -> None:
    """Who comes from the tutorial has org and token in .env: both are used, and not a byte of it changes."""
    (tmp_path / ".env").write_bytes(TUTORIAL.encode())
    printed = init()
    config = load_config(environ={})
    assert config.okta.org_url == "https://dev-1.okta.com"
    assert config.okta.token is not None and config.okta.token.get_secret_value() == TOKEN
    written = (tmp_path / ".env").read_bytes().decode()
    assert written.startswith(TUTORIAL + "\n")
    assert written.count(TOKEN) == 1
    assert "from now on only by you" in printed
    assert TOKEN not in printed


@pytest.mark.parametrize("options", [["--events-only"], ["--client-id=a", "--private-key-file=b"]])
def test_the_tutorials_token_does_not_hide_behind_another_login(init: Init, tmp_path: Path, options: list[str]) -> None:
    """As long as okta_key is in .env it would be used: another login is refused until it is gone."""
    (tmp_path / ".env").write_text(TUTORIAL)
    with pytest.raises(ConfigError, match="okta_key"):
        init(*options)


def test_the_tutorials_table_is_known_again(init: Init, tmp_path: Path) -> None:
    """A file of SQLite with the tutorial's table gets the preset, without which no row would fit."""
    with closing(sqlite3.connect(tmp_path / "users.db")) as db:
        db.execute("CREATE TABLE Users (id INTEGER PRIMARY KEY, firstName, lastName, email, mobilePhone, oktaId)")
    assert "deactivated users will be removed" in init("--org-url=example", "--target=users.db")
    assert load_config(environ={}).targets[0].preset == "tutorial"


def test_the_demos_folder_is_not_taken(init: Init, tmp_path: Path) -> None:
    """After a demo `data` is the demo's: another folder is proposed, and `data` itself refused."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "made-by-rosterhook-demo").touch()
    with pytest.raises(ConfigError, match="made by `rosterhook demo`"):
        init("--org-url=example", "--data-dir=data")
    init("--org-url=example")
    assert str(load_config(environ={}).data_dir) == "rosterhook-data"


def test_secrets_are_for_their_owner_alone(init: Init, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the umask, no file with a secret is ever open to others: it is made so, not changed to be so."""
    made: dict[str, int] = {}
    create = os.open

    def watched(path: str | Path, flags: int, mode: int = 0o777, **more: int) -> int:
        if flags & os.O_CREAT:
            assert flags & os.O_EXCL, path
            made[Path(path).name] = mode
        return create(path, flags, mode, **more)

    (tmp_path / ".env").write_text("A=b\n")
    (tmp_path / ".env").chmod(0o644)
    monkeypatch.setattr(sys, "stdin", io.StringIO("mysql://app:hunter2@h/db"))
    monkeypatch.setattr(os, "open", watched)
    umask = os.umask(0)
    try:
        init("--org-url=example", "--target-file", "-")
        init("--org-url=example", "--force")
    finally:
        os.umask(umask)
    secret = dict.fromkeys(("app-db-url", ".env", ".env.bak", "rosterhook.toml.bak"), 0o600)
    assert made == {**secret, "rosterhook.toml": 0o644}
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {**made, "secrets": 0o700}


def test_a_dry_run_writes_nothing_and_shows_no_secret(init: Init, dialog: Dialog, tmp_path: Path) -> None:
    """--dry-run shows each file that would be written, with its secrets masked."""
    (tmp_path / ".env").write_text("OTHER=topsecret\n")
    dialog("example", "1", TOKEN, "", "", "postgresql://app@h/db", PASSWORD)
    printed = init("--dry-run")
    assert everything(tmp_path) == {".env": b"OTHER=topsecret\n"}
    for shown in ("secrets/app-db-url", "(1 line that is there)", "ROSTERHOOK_OKTA__TOKEN=****", "org_url = "):
        assert shown in printed
    for secret in (TOKEN, PASSWORD, "hunter2", "topsecret"):
        assert secret not in printed


def test_what_would_not_start_is_not_written(init: Init, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The answers are checked together with .env and the environment, which win over them, before any is written."""
    monkeypatch.setenv("ROSTERHOOK_SERVER__PORT", "no-number")
    with pytest.raises(ConfigError, match="ROSTERHOOK_SERVER__PORT") as refused:
        init("--org-url=example")
    assert "nothing was written" in refused.value.message
    assert everything(tmp_path) == {}


def test_another_configuration_that_would_be_read_is_told(
    init: Init, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where ROSTERHOOK_CONFIG names another file, the new one would silently not be read."""
    monkeypatch.setenv("ROSTERHOOK_CONFIG", str(tmp_path / "elsewhere.toml"))
    assert "ROSTERHOOK_CONFIG is set" in init("--org-url=example")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_secrets_that_git_would_take_are_told(init: Init, tmp_path: Path) -> None:
    """In a work tree that does not ignore .env, a commit would publish it: that is said, and only then."""
    assert "Git" not in init("--org-url=example")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert "Git does not ignore .env, .env.bak, rosterhook.toml.bak, data/:" in init("--org-url=example", "--force")
    (tmp_path / ".gitignore").write_text(".env*\nrosterhook.toml.bak*\n/data/\n")
    assert "Git" not in init("--org-url=example", "--force")


@pytest.mark.parametrize("login", [["--events-only"], ["--token-file=token"]])
@pytest.mark.parametrize("hook", [["--hook-url=h.example.com"], []])
def test_the_end_tells_what_comes_next(init: Init, tmp_path: Path, login: list[str], hook: list[str]) -> None:
    """The next commands are printed as they are to be typed."""
    (tmp_path / "token").write_text(TOKEN)
    printed = init("--org-url=example", *login, *hook)
    assert "rosterhook check" in printed and "rosterhook serve" in printed
    assert ("rosterhook hook create" in printed) == ("token" in login[0])
    assert ("--url https://<your host>/okta/events" in printed) == ("token" in login[0] and not hook)
