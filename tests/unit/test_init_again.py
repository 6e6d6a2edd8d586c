"""`rosterhook init --force`: what is there is proposed, and what is replaced is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from init_dialog import TOKEN, Dialog, Init, everything

from rosterhook.config.load import load_config
from rosterhook.errors import ConfigError


def test_force_keeps_a_copy_and_the_hooks_secret(init: Init, tmp_path: Path) -> None:
    """What is replaced is kept, also the second time; Okta's secret stays valid, other variables stay too."""
    (tmp_path / ".env").write_text("ROSTERHOOK_OKTA__ORG_URL=https://env.okta.com\nROSTERHOOK_SERVER__PORT=1\nA=b\n")
    with pytest.raises(ConfigError, match="already"):
        init("--org-url=first")
    init("--org-url=first", "--force")
    first, secret = everything(tmp_path), load_config(environ={}).hook.secret
    init("--org-url=second", "--force")
    config, now = load_config(environ={}), everything(tmp_path)
    assert config.okta.org_url == "https://second.okta.com"
    assert config.hook.secret == secret and config.server.port == 1
    assert b"A=b\n" in now[".env"]
    assert now["rosterhook.toml.bak"] == first["rosterhook.toml"]
    assert (now[".env.bak"], now[".env.bak2"]) == (first[".env.bak"], first[".env"])


def service_app(folder: Path) -> None:
    """A configuration as somebody has made it: service app, another folder, a database with its password."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "app.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "rosterhook.toml").write_text(
        'data_dir = "own"\n[okta]\norg_url = "https://first.okta.com"\nclient_id = "0oa1"\n'
        'private_key_file = "app.pem"\n[hook]\nurl = "https://h.example.com/okta/events"\nsecret = "s"\n'
        '[[targets]]\nname = "x"\ntype = "sql"\nurl = "mysql://app:hunter2@h/db"\n'
    )


@pytest.mark.parametrize("options", [["--force", "--yes"], ["--force"]])
def test_force_proposes_what_is_there(init: Init, dialog: Dialog, tmp_path: Path, options: list[str]) -> None:
    """Enter five times, or --yes, keeps every answer of the present files; no secret of them is shown."""
    service_app(tmp_path)
    dialog(*[""] * 7)
    printed = init(*options)
    config = load_config(environ={})
    assert (config.okta.org_url, config.okta.client_id) == ("https://first.okta.com", "0oa1")
    assert str(config.okta.private_key_file) == "app.pem"
    assert (config.hook.url, str(config.data_dir)) == ("https://h.example.com/okta/events", "own")
    assert config.targets[0].url.get_secret_value() == "mysql://app:hunter2@h/db"
    assert "hunter2" not in (tmp_path / "rosterhook.toml").read_text() + printed
    assert "in the copy alone" in printed
    dialog(*[""] * 7)
    init(*options)  # the address stands in a file now
    again = load_config(environ={}).targets[0]
    assert (again.url.get_secret_value(), str(again.url_file)) == ("mysql://app:hunter2@h/db", "secrets/app-db-url")


def test_force_keeps_the_token(init: Init, dialog: Dialog) -> None:
    """Who has a token is not asked to find it again: Enter keeps it, and the prompt says so."""
    dialog("example", "1", TOKEN, "", "", "")
    init()
    asked = dialog(*[""] * 6)
    assert TOKEN not in init("--force")
    assert ("   [keep the token] > ", True) in asked
    assert not [prompt for prompt, _ in asked if TOKEN in prompt]
    token = load_config(environ={}).okta.token
    assert token is not None and token.get_secret_value() == TOKEN


def test_force_keeps_events_alone(init: Init, dialog: Dialog) -> None:
    """Who has decided to do without a login is not led to a token by Enter."""
    init("--org-url=example", "--events-only")
    dialog(*[""] * 5)
    init("--force")
    assert load_config(environ={}).okta.login is None


def test_force_does_not_mind_a_broken_file(init: Init, tmp_path: Path) -> None:
    """Who has spoilt the file can start anew."""
    (tmp_path / "rosterhook.toml").write_text("[okta\n")
    init("--org-url=example", "--force")
    assert load_config(environ={}).okta.org_url == "https://example.okta.com"


def test_the_scopes_are_told_where_the_app_is_asked_for(init: Init, dialog: Dialog, tmp_path: Path) -> None:
    """What the app needs is told before its id is typed: the scope of the service, and those of the hook commands."""
    service_app(tmp_path)
    dialog("example", "2", "0oa1", "app.pem", "", "", "")
    printed = " ".join(init("--force").split())
    needed = (
        "scopes okta.users.read, okta.logs.read and, for `rosterhook hook`, okta.eventHooks.read and okta.eventHooks"
    )
    assert needed in printed
