"""What the configuration says about mistakes, and what it never says."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_folder import SECRET, load, problems

from rosterhook.config.keys import Key, keys
from rosterhook.config.load import load_config
from rosterhook.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ('[hook]\nsecert = "x"\n', "unknown key hook.secert. Did you mean hook.secret?"),
        ("prot = 1\n", "unknown key prot. Did you mean server.port?"),
        ("[sever]\nport = 1\n", "unknown key sever."),
        ('[okta]\nurl = "x"\n', "unknown key okta.url. Did you mean okta.org_url?"),
        ("zzzzzz = 1\n", "unknown key zzzzzz."),
    ],
)
def test_an_unknown_key_names_the_nearest_known(folder: Path, toml: str, line: str) -> None:
    """A typing error is an error that says what was probably meant, and where it is."""
    [found] = problems(folder, toml)
    assert found.startswith(f"rosterhook.toml: {line}")


def test_an_unknown_key_of_a_target_is_found(folder: Path) -> None:
    """Targets are checked as well, and named; their columns are free."""
    toml = '[[targets]]\nname = "app"\ntype = "sql"\nurl = "sqlite://"\ntabel = "x"\n'
    assert problems(folder, toml) == ["rosterhook.toml: unknown key targets[app].tabel. Did you mean targets.table?"]
    load(folder, '[[targets]]\nname = "a"\ntype = "sql"\nurl = "x"\ndeleted = "keep"\nsuspended = "keep"\n'
         'deactivated = "keep"\n[targets.columns]\nid = "id"\nanything = "profile.x"\n')  # fmt: skip


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ROSTERHOOK_HOOK__SECERT", "Did you mean ROSTERHOOK_HOOK__SECRET?"),
        ("ROSTERHOOK_HOOK_SECRET", "Did you mean ROSTERHOOK_HOOK__SECRET?"),
        ("rosterhook_datadir", "Did you mean ROSTERHOOK_DATA_DIR?"),
        ("ROSTERHOOK_TARGETS__0__NAME", "Give all targets as one JSON list in ROSTERHOOK_TARGETS."),
    ],
)
def test_an_unknown_variable_names_the_nearest_known(folder: Path, name: str, advice: str) -> None:
    """A variable that begins with ROSTERHOOK_ and sets nothing is an error, in the environment and in .env."""
    assert problems(folder, **{name: SECRET}) == [f"environment: unknown variable {name}. {advice}"]
    assert problems(folder, dotenv=f"{name}={SECRET}\n") == [f".env: unknown variable {name}. {advice}"]


def test_all_problems_are_told_at_once(folder: Path) -> None:
    """One error has a line for each mistake, with the place that it comes from."""
    toml = '[hook]\nsecert = "x"\n[server]\nport = "x"\n[okta]\nshare = 2\n[log]\nlevel = "loud"\n'
    assert problems(folder, toml, ROSTERHOOK_OKTA__TIMEOUT_SECONDS="soon", ROSTERHOOK_HOOK__SECRETS="a,b") == [
        "rosterhook.toml: unknown key hook.secert. Did you mean hook.secret?",
        'environment: ROSTERHOOK_HOOK__SECRETS: is no JSON list; write it as ["one", "two"]',
        "rosterhook.toml: server.port: must be a whole number",
        "rosterhook.toml: okta.share: must be less than or equal to 1",
        "environment: ROSTERHOOK_OKTA__TIMEOUT_SECONDS: must be a number",
        "rosterhook.toml: log.level: must be 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("hook = 5", "hook: must be a table"),
        ('[[hook]]\nsecret = "x"', "hook: must be a table"),
        ('[targets]\nname = "x"', "targets: must be a list of tables: write [[targets]]"),
        ("data_dir = 5", "data_dir: must be a path, in quotes"),
        ("[okta]\ntoken_file = 5", "okta.token_file: must be a path, in quotes"),
        ("[hook]\nsecret = 5", "hook.secret: must be text, in quotes"),
        ('[[targets]]\nname = "x"\ntype = "sql"', "targets[x].url: is missing"),
        ('[[targets]]\nname = "x"\ntype = "scim"\nurl = "u"', "targets[x].type: must be 'sql'"),
    ],
)
def test_a_value_of_another_shape_is_explained(folder: Path, toml: str, line: str) -> None:
    """Whatever stands where a value belongs, the message says what does belong there."""
    assert problems(folder, toml) == [f"rosterhook.toml: {line}"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://a.okta.com/api/v1", 'has a path: give the org alone, "https://a.okta.com"'),
        ("http://a.okta.com", "must start with https:// (http is for loopback only)"),
        ("a.okta.com", "must start with https:// (http is for loopback only)"),
        ("https://a-admin.okta.com", '"a-admin.okta.com" is the address of the Admin Console: leave out "-admin"'),
        ("https://u:p@a.okta.com", "must be https:// and a host, and nothing else"),
        ("https://a.okta.com:x", "is no address, such as https://example.okta.com"),
        ("https://[a", "is no address, such as https://example.okta.com"),
    ],
)
def test_org_url_is_an_origin(folder: Path, url: str, why: str) -> None:
    """An address with a path, without TLS, or of the Admin Console is refused with its cure."""
    assert problems(folder, f'[okta]\norg_url = "{url}"\n') == [f"rosterhook.toml: okta.org_url: {why}"]


@pytest.mark.parametrize(
    ("url", "one"),
    [
        ("https://Example.okta.com", "https://example.okta.com"),
        ("HTTPS://example.OKTA.com:443/", "https://example.okta.com"),
        ("https://example.okta.com:", "https://example.okta.com"),
        ("https://Example.okta.com:8443", "https://example.okta.com:8443"),
        ("http://LocalHost:80", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_org_url_has_one_spelling(folder: Path, url: str, one: str) -> None:
    """However the address of an org is written, it is the same org."""
    assert load(folder, f'[okta]\norg_url = "{url}"\n').okta.org_url == one


def test_http_is_for_loopback(folder: Path) -> None:
    """The simulator on this machine needs no certificate."""
    assert load(folder, '[okta]\norg_url = "http://127.0.0.1:9/"\n').okta.org_url == "http://127.0.0.1:9"


@pytest.mark.parametrize("variable", [key.variable for key in keys() if not key.many and "SecretStr" in str(key.field)])
@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_secret_is_an_error(folder: Path, variable: str, value: str) -> None:
    """A secret that did not arrive never means "no secret"."""
    text = f'["{value}"]' if variable.endswith("S") else value
    [line] = problems(folder, "", ROSTERHOOK_OKTA__ORG_URL="https://a.okta.com", **{variable: text})
    assert "is empty" in line


@pytest.mark.parametrize("dotenv", ["okta_url=https://a.okta.com\nokta_key=\n", "ROSTERHOOK_HOOK__SECRET\n"])
def test_an_empty_secret_in_dotenv_is_an_error(folder: Path, dotenv: str) -> None:
    """The same holds for .env, and for the key of the tutorial."""
    [line] = problems(folder, dotenv=dotenv)
    assert line.startswith(".env: ")
    assert "is empty" in line


def test_a_secret_file_that_cannot_be_read_is_explained(folder: Path) -> None:
    """The message names the file and why it cannot be read."""
    for path, why in ((folder, "Is a directory"), (folder / "gone", "No such file or directory")):
        [line] = problems(folder, ROSTERHOOK_HOOK__SECRET_FILE=str(path))
        assert line == f"environment: hook: cannot read {path}: {why}"
    (folder / "empty").write_text("\n")
    assert "is empty" in problems(folder, ROSTERHOOK_HOOK__SECRET_FILE=str(folder / "empty"))[0]


@pytest.mark.parametrize("key", [key for key in keys() if "SecretStr" in str(key.field)], ids=lambda key: key.path)
def test_a_secret_is_never_shown(folder: Path, key: Key) -> None:
    """Neither the configuration nor an error about it shows a secret, its causes included."""
    app = 'client_id = "0oa1"\n' if key.name == "private_key" else ""
    okta = f'org_url = "https://a.okta.com"\n{app}' if key.section == "okta" else ""
    head = 'name = "a"\ntype = "sql"\n' if key.many else okta
    value = f'["{SECRET}"]' if key.is_list else f'"{SECRET}"'
    text = f"{'[[targets]]' if key.many else f'[{key.section}]'}\n{head}{key.name} = {value}\n"
    assert SECRET not in repr(load(folder, text)) + str(load(folder, text))
    for wrong in (f"{text}bogus = 1\n", f"{text}{key.name}_file = '{SECRET}x'\n", f"{text}[{key.name}.x]\n"):
        (folder / "rosterhook.toml").write_text(wrong)
        with pytest.raises(ConfigError) as caught:
            load_config(environ={"ROSTERHOOK_SERVER__PORT": SECRET}, cwd=folder)
        assert SECRET not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
