"""The parts of `rosterhook init`: what people type or paste, and what is made and written of it."""

from __future__ import annotations

import errno
import io
import itertools
import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from rosterhook.cli import answers, setup_files
from rosterhook.errors import ConfigError, RosterhookError
from rosterhook.okta.auth import SswsAuth

TOKEN = "00aSecretTokenOfTheOrg-_"
ANSWERS = setup_files.Answers(
    "https://example.okta.com", setup_files.Login(token=TOKEN), "", "data", "mysql://app:hunter2@h/db"
)


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("example", "https://example.okta.com"),
        ("  example.okta.com\n", "https://example.okta.com"),
        ('"https://example.okta.com"', "https://example.okta.com"),
        ("“example.okta.com”", "https://example.okta.com"),
        ("\ufeffexample.oktapreview.com/", "https://example.oktapreview.com"),
        ("https://example-admin.okta.com/admin/dashboard?tab=1#top", "https://example.okta.com"),
        ("EXAMPLE-ADMIN.OKTA.COM", "https://example.okta.com"),
        ("login.example.com/app/UserHome", "https://login.example.com"),
        ("dev-1.okta-emea.com:443", "https://dev-1.okta-emea.com"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ],
)
def test_an_org_is_found_in_what_people_paste(typed: str, origin: str) -> None:
    """The name, the host, the address in the browser, blanks and quotes around: all mean the same org."""
    assert answers.org_address(typed).value == origin


def test_what_is_left_out_of_an_org_is_told() -> None:
    """Whoever pastes the Admin Console's address reads that "-admin" and the path were left out."""
    note = answers.org_address("https://example-admin.okta.com/admin/users").note
    assert note == 'Taken as https://example.okta.com, without "-admin" and what follows the host.'
    assert answers.org_address("https://example.okta.com").note == ""


@pytest.mark.parametrize(
    "typed", ["", "  ", "http://example.okta.com", "exämple.okta.com", "a b", "https://", "https://me@example.com",
              "https://example.com:port", "ftp://example.okta.com", "https://[", "example.okta.com\x00"],
)  # fmt: skip
def test_what_is_no_org_is_refused_with_an_example(typed: str) -> None:
    """An address that cannot be an org's is refused, and the hint shows one that can."""
    with pytest.raises(ConfigError) as refused:
        answers.org_address(typed)
    assert "example.okta.com" in refused.value.hint


@pytest.mark.parametrize(
    ("typed", "address", "path"),
    [
        ("", "", ""),
        (" https://hooks.example.com/okta/events ", "https://hooks.example.com/okta/events", ""),
        ("hooks.example.com", "https://hooks.example.com/okta/events", ""),
        ("https://hooks.example.com:8443/", "https://hooks.example.com:8443/okta/events", ""),
        ("https://hooks.example.com/userTransfer", "https://hooks.example.com/userTransfer", ""),
        ("https://example.com/in/okta", "https://example.com/in/okta", "/in/okta"),
    ],
)
def test_a_hooks_address_gets_its_path(typed: str, address: str, path: str) -> None:
    """A host alone gets the usual path; another path is one that the service must answer at."""
    assert answers.hook_address(typed).value == address
    assert answers.hook_path(address) == path


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("http://hooks.example.com/okta/events", "Okta calls nothing else"),
        ("https://hooks.example.com/a b", "a blank"),
        ("https://hooks.example.com/" + "a" * 1024, "1,024 characters"),
        ("https://me:pw@hooks.example.com/", "must be https://, a host and a path"),
    ],
)
def test_a_hook_that_okta_would_not_call_is_refused(typed: str, why: str) -> None:
    """The reason is told, and no password that stands in the address."""
    with pytest.raises(ConfigError, match=why) as refused:
        answers.hook_address(typed)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    "typed", ["okta.com", "admin", "admin.okta.com", "https://www.okta.com/login", "login.okta.com", "oktapreview.com"]
)
def test_oktas_own_sites_are_no_org(typed: str) -> None:
    """Whoever gives one of Okta's own sites is told so, with how an org's address looks."""
    with pytest.raises(ConfigError, match="is Okta's own site, and no org") as refused:
        answers.org_address(typed)
    assert "https://example.okta.com" in refused.value.hint


@pytest.mark.parametrize("typed", ["a b", "https://[", "http://hooks.example.com"])
def test_a_wrong_hook_is_told_how_a_hooks_address_looks(typed: str) -> None:
    """The hint is about the proxy's address, not about the org's."""
    with pytest.raises(ConfigError) as refused:
        answers.hook_address(typed)
    assert "https://hooks.example.com/okta/events" in refused.value.hint
    assert "example.okta.com" not in refused.value.hint


def test_the_root_is_no_folder_of_ours() -> None:
    """The own store belongs into a folder of its own, and not among the system's."""
    for typed in ("/", "//", "/tmp/.."):
        with pytest.raises(ConfigError, match="root of the whole system"):
            answers.own_folder(typed)


@pytest.mark.parametrize(("token", "why"), [("", "okta.token is empty"), ("a b", "okta.token has a blank")])
def test_a_token_s_fault_is_told(token: str, why: str) -> None:
    """Empty, or with what no token has: it is said which."""
    with pytest.raises(ConfigError, match=why):
        SswsAuth(SecretStr(token))


def test_a_hook_on_this_machine_is_told_to_be_out_of_reach() -> None:
    """Okta calls from the internet: localhost is taken, with a word about it."""
    assert "will not reach localhost" in answers.hook_address("https://localhost/okta/events").note


@pytest.mark.parametrize(
    "typed", [f"SSWS {TOKEN}", f' "{TOKEN}" ', f"Authorization: ssws {TOKEN}\n", f"'SSWS {TOKEN}'"]
)
def test_a_token_is_found_in_what_people_paste(typed: str) -> None:
    """A token comes with "SSWS", quotes or blanks around it, and is taken alone."""
    assert answers.api_token(typed).value == TOKEN


def test_a_token_that_is_none_is_refused_without_being_told() -> None:
    """Nobody reads a token, or what was meant to be one, in an error."""
    with pytest.raises(ConfigError) as refused:
        answers.api_token(f"{TOKEN} and more")
    assert TOKEN not in str(refused.value)


def pem(tmp_path: Path, *, public: bool = False) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    text = (
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if public
        else key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    path = tmp_path / "app.pem"
    path.write_bytes(text)
    path.chmod(0o600)
    return str(path)


def test_a_private_key_is_looked_into(tmp_path: Path) -> None:
    """A file that is not there, is a folder, or has a public key is refused; that others may read it is told."""
    for wrong in (str(tmp_path / "none.pem"), str(tmp_path), pem(tmp_path, public=True), " "):
        with pytest.raises(ConfigError):
            answers.private_key_file(wrong)
    path = Path(pem(tmp_path))
    assert answers.private_key_file(f" '{path}' ") == (str(path), "")
    path.chmod(0o644)
    assert answers.private_key_file(str(path)).note == f"Others may read {path}: chmod 600 {path}"


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("users.db", "sqlite:///users.db"),
        (" '/var/lib/app/u.db' ", "sqlite:////var/lib/app/u.db"),
        ("sqlite:///users.db", "sqlite:///users.db"),
        ("postgres://app@db.example.com/users", "postgres://app@db.example.com/users"),
    ],
)
def test_a_database_is_a_file_or_an_address(typed: str, address: str) -> None:
    """A path is a file of SQLite; an address is taken as it is."""
    assert answers.database_address(typed).value == address


@pytest.mark.parametrize("typed", ["", "oracle://u:secret@h/d", "postgresql:/u:secret@h/d", "mysql://u:secret@h", "/"])
def test_what_is_no_database_is_refused_without_being_told(typed: str) -> None:
    """A wrong scheme, a typing error or a folder is refused, and no part of the address is repeated."""
    with pytest.raises(ConfigError) as refused:
        answers.database_address(typed)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "has", "lacks"),
    [
        ("postgresql://app:pw@h/db", True, False),
        ("postgresql://h/db?user=app&password=pw", True, False),
        ("postgresql://app@h/db", False, True),
        ("postgresql://h/db", False, False),
        ("sqlite:///users.db", False, False),
    ],
)
def test_a_password_is_seen_wherever_it_stands(address: str, has: bool, lacks: bool) -> None:
    """Of a database's address, the password may stand in front of the host or among the parameters."""
    assert (answers.has_password(address), answers.lacks_password(address)) == (has, lacks)


@pytest.mark.parametrize("content", ["", f"SSWS {TOKEN}", f"'{TOKEN}'", f"{TOKEN}\nmore"])
def test_a_file_holds_the_token_alone(tmp_path: Path, content: str) -> None:
    """The service reads such a file as it is: what is around the token, or nothing, is refused at once."""
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        answers.secret_file(str(path), answers.api_token)
    assert TOKEN not in str(refused.value)


def tree(folder: Path) -> dict[str, bytes]:
    """All that is below a folder: files with their content, folders with none."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("deed", ["open", "fsync", "replace"])
def test_a_full_disk_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deed: str) -> None:
    """Whichever deed fails, at any point, nothing was changed: no file, no folder, no copy."""
    (tmp_path / "home" / "kept").mkdir(parents=True)
    (tmp_path / "home" / "rosterhook.toml").write_text("# old")
    (tmp_path / "home" / "kept" / "env").write_text("A=b\n")
    (tmp_path / "home" / ".env").symlink_to("kept/env")
    before, real, failed = tree(tmp_path), getattr(os, deed), 0
    files = setup_files.drafts(ANSWERS, "A=b\n")
    for number in itertools.count():
        calls = itertools.count()

        def full(*args: Any, **more: Any) -> Any:
            if next(calls) == number:  # noqa: B023 - called in this round alone
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **more)

        with monkeypatch.context() as patch, suppress(RosterhookError):
            patch.setattr(os, deed, full)
            setup_files.write(tmp_path / "home", files, keep=True, check=lambda _: None)
            break
        assert tree(tmp_path) == before
        failed += 1
    assert failed >= 3
    assert (tmp_path / "home" / ".env").is_symlink()


def test_a_link_to_another_file_system_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file takes another one's place only within one file system: it is made where the link leads to."""
    (tmp_path / "home").mkdir()
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "env").write_text("A=b\n")
    (tmp_path / "home" / ".env").symlink_to(tmp_path / "mounted" / "env")
    rename = os.replace

    def within_one(source: Path, place: Path) -> None:
        if ("mounted" in str(source)) != ("mounted" in str(place)):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, place)

    monkeypatch.setattr(os, "replace", within_one)
    setup_files.write(tmp_path / "home", setup_files.drafts(ANSWERS, "A=b\n"), keep=True, check=lambda _: None)
    assert setup_files.SECRET in (tmp_path / "mounted" / "env").read_text()
    assert sorted(path.name for path in (tmp_path / "mounted").iterdir()) == ["env", "env.bak"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The folder, the reason and the cure are named."""
    with pytest.raises(RosterhookError, match=f"Cannot write into {tmp_path}/none: No such file"):
        setup_files.write(tmp_path / "none", setup_files.drafts(ANSWERS, ""), keep=False, check=lambda _: None)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """A `.env` that is kept elsewhere is written there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "env").write_text("A=b\n")
    (tmp_path / ".env").symlink_to("elsewhere/env")
    setup_files.write(tmp_path, setup_files.drafts(ANSWERS, "A=b\n"), keep=False, check=lambda _: None)
    assert (tmp_path / ".env").is_symlink()
    assert setup_files.SECRET in (tmp_path / "elsewhere" / "env").read_text()


def test_no_secret_is_in_a_repr() -> None:
    """What a traceback or a log might show of the answers has no secret."""
    shown = repr([ANSWERS, ANSWERS.login, setup_files.drafts(ANSWERS, "")])
    assert TOKEN not in shown
    assert "hunter2" not in shown


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1))
def test_any_text_survives_in_the_file(text: str) -> None:
    """Whatever can be typed stands in rosterhook.toml so that the same is read."""
    whole = setup_files.toml(setup_files.Answers(text, setup_files.Login(client_id=text), "", text, target_file=text))
    read = tomllib.loads(whole)
    assert (read["data_dir"], read["okta"]["client_id"], read["targets"][0]["url_file"]) == (text, text, text)


@given(
    st.lists(st.sampled_from(["A=b", "# c", "", "B='x\ny'", "C", 'D="#"', "=", "export E=1"])),
    st.text("!#$'\"\\az~", min_size=1),
)
def test_any_env_stays_and_any_token_survives(lines: list[str], token: str) -> None:
    """What others have in .env stays byte for byte in front; what is added is read as it was meant."""
    old = "\n".join(lines)
    login = setup_files.Login(token=token)
    text, shown = setup_files.dotenv(old, setup_files.Answers("https://e.okta.com", login, "", "data"))
    assert text.startswith(old)
    assert dotenv_values(stream=io.StringIO(text), interpolate=False)[setup_files.TOKEN] == token
    assert shown.endswith("ROSTERHOOK_OKTA__TOKEN=**********\nROSTERHOOK_HOOK__SECRET=**********\n")
