"""The configuration: where it comes from, what wins, and what it says about mistakes."""

from __future__ import annotations

import json
import runpy
import tomllib
from pathlib import Path

import pytest
from config_folder import SECRET, load, problems
from hypothesis import given
from hypothesis import strategies as st

from rosterhook.config import Config
from rosterhook.config.keys import keys, variables
from rosterhook.config.load import load_config
from rosterhook.errors import ConfigError

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_nothing_at_all_is_a_configuration(folder: Path) -> None:
    """It starts on SQLite alone: without a file, everything has its default."""
    config = load(folder)
    assert config == Config()
    assert config.targets[0].url.get_secret_value() == "sqlite:///data/users.db"


def test_the_file_in_the_working_directory_is_read(folder: Path) -> None:
    """rosterhook.toml is found without being named."""
    assert load(folder, "[server]\nport = 1\n").server.port == 1


def test_config_names_another_file(folder: Path) -> None:
    """A named file is read in place of rosterhook.toml, and the command line's wins over the variable's."""
    (folder / "a.toml").write_text("[server]\nport = 2\n")
    (folder / "b.toml").write_text("[server]\nport = 3\n")
    assert load(folder, "[server]\nport = 1\n", ROSTERHOOK_CONFIG="a.toml").server.port == 2
    assert load(folder, dotenv="ROSTERHOOK_CONFIG=b.toml\n").server.port == 3
    environ = {"ROSTERHOOK_CONFIG": "a.toml"}
    assert load_config(folder / "b.toml", environ=environ, cwd=folder).server.port == 3


@pytest.mark.parametrize(
    ("name", "why"), [("gone.toml", "no such file"), (".", "cannot be read: Is a directory"), ("", "is empty")]
)
def test_a_file_that_is_named_has_to_be_there(folder: Path, name: str, why: str) -> None:
    """A wrong name is an error, not a start with defaults."""
    assert why in problems(folder, ROSTERHOOK_CONFIG=name)[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[server]\nport 1\n", "rosterhook.toml: line 2, column 6: expected '=' after a key"),
        (b"a = ", "rosterhook.toml: end of document: invalid value"),
        ("name = 'é'".encode("latin-1"), "rosterhook.toml: is not UTF-8 text (byte 9)"),
    ],
)
def test_a_file_that_is_no_toml_is_explained(folder: Path, content: bytes, why: str) -> None:
    """A broken file names the place of the fault."""
    (folder / "rosterhook.toml").write_bytes(content)
    assert problems(folder)[0].startswith(why)


def test_a_byte_order_mark_does_no_harm(folder: Path) -> None:
    """A file that Notepad saved is read."""
    (folder / "rosterhook.toml").write_bytes(b"\xef\xbb\xbf[server]\nport = 1\n")
    assert load(folder).server.port == 1


@given(st.sets(st.sampled_from(["file", ".env", "environment", "command line"])))
def test_the_strongest_place_wins(tmp_path_factory: pytest.TempPathFactory, places: set[str]) -> None:
    """Command line over environment over .env over file over default, whichever of them speak."""
    folder = tmp_path_factory.mktemp("config")
    toml = "[server]\nport = 1\n" if "file" in places else ""
    (folder / "rosterhook.toml").write_text(toml)
    (folder / ".env").write_text("ROSTERHOOK_SERVER__PORT=2\n" if ".env" in places else "")
    environ = {"ROSTERHOOK_SERVER__PORT": "3"} if "environment" in places else {}
    overrides = {"server": {"port": 4 if "command line" in places else None}}
    port = load_config(environ=environ, cwd=folder, overrides=overrides).server.port
    order = {"command line": 4, "environment": 3, ".env": 2, "file": 1}
    assert port == next((value for place, value in order.items() if place in places), 8787)


def test_tables_are_merged_key_by_key(folder: Path) -> None:
    """A variable changes its own key and leaves its neighbours as the file has them."""
    server = load(folder, '[server]\nhost = "127.0.0.2"\nport = 1\n', ROSTERHOOK_SERVER__PORT="2").server
    assert (server.host, server.port) == ("127.0.0.2", 2)


def test_a_list_is_taken_whole(folder: Path) -> None:
    """Targets of the environment replace those of the file."""
    toml = '[[targets]]\nname = "a"\ntype = "sql"\nurl = "sqlite:///a"\n'
    targets = json.dumps([{"name": "b", "type": "sql", "url": "sqlite:///b"}])
    assert [t.name for t in load(folder, toml, ROSTERHOOK_TARGETS=targets).targets] == ["b"]


@pytest.mark.parametrize("variable", sorted(variables()))
def test_every_key_has_its_variable(folder: Path, variable: str) -> None:
    """No variable of the reference is called unknown, in upper or lower case."""
    for name in (variable, variable.lower()):
        try:
            load(folder, **{name: "1"})
        except ConfigError as error:
            assert "unknown" not in str(error)  # noqa: PT017


def test_text_of_a_variable_becomes_the_type_of_its_key(folder: Path) -> None:
    """Numbers, truth values and JSON lists are read from text."""
    config = load(
        folder,
        ROSTERHOOK_SERVER__OPEN="true",
        ROSTERHOOK_OKTA__SHARE="0.25",
        ROSTERHOOK_HOOK__SECRETS='["one", "two"]',
        ROSTERHOOK_DATA_DIR="elsewhere",
    )
    assert (config.server.open, config.okta.share, config.data_dir) == (True, 0.25, Path("elsewhere"))
    assert config.hook.accepted() == (b"one", b"two")


def test_dotenv_takes_secrets_as_they_are(folder: Path) -> None:
    """A "$" in a secret is a "$", and a quoted value loses its quotes alone."""
    config = load(folder, dotenv="ROSTERHOOK_HOOK__SECRET='a${HOME}$b'\nPATH_OF_ANOTHER=x\nexport FOREIGN=1\n")
    assert config.hook.accepted() == (b"a${HOME}$b",)


def test_a_folder_named_dotenv_is_left_alone(folder: Path) -> None:
    """Some keep a virtual environment there."""
    (folder / ".env").mkdir()
    assert load(folder) == Config()


TUTORIAL = "okta_url=https://dev-1.okta.com\nokta_key=00key\nPORT=3000\n"


@pytest.mark.parametrize(
    "url",
    [
        "https://dev-1.okta.com",
        "https://dev-1.okta.com/",
        "https://dev-1.okta.com/api/v1",
        "https://dev-1.okta.com/api/v1/users?q=",
        "dev-1.okta.com/",
    ],
)
def test_the_dotenv_of_the_tutorial_works(folder: Path, url: str) -> None:
    """okta_url and okta_key are understood in any case, with what readers put behind the address."""
    for name in ("okta_url", "OKTA_URL"):
        okta = load(folder, dotenv=f"{name}={url}\nokta_key=00key\n").okta
        assert okta.org_url == "https://dev-1.okta.com"
        assert okta.token is not None
        assert okta.token.get_secret_value() == "00key"


def test_the_tutorials_keys_only_fill_gaps(folder: Path) -> None:
    """Whatever names the org or the token otherwise, also as a file, wins over okta_url and okta_key."""
    (folder / "token").write_text("filed\n")
    toml = f'[okta]\norg_url = "https://b.okta.com"\ntoken_file = "{folder}/token"\n'
    okta = load(folder, toml, TUTORIAL).okta
    assert okta.org_url == "https://b.okta.com"
    assert okta.token is not None
    assert okta.token.get_secret_value() == "filed"
    assert load(folder, "", TUTORIAL, okta_url="https://c.okta.com").okta.org_url == "https://c.okta.com"


def test_a_stronger_secret_displaces_a_weaker_file(folder: Path) -> None:
    """The environment may replace a secret that the file names by path, and the other way round."""
    (folder / "s").write_text("filed")
    by_file = f'[hook]\nsecret_file = "{folder}/s"\n'
    assert load(folder, by_file, ROSTERHOOK_HOOK__SECRET="given").hook.accepted() == (b"given",)
    path = str(folder / "s")
    assert load(folder, '[hook]\nsecret = "x"\n', ROSTERHOOK_HOOK__SECRET_FILE=path).hook.accepted() == (b"filed",)


def test_several_secrets_come_from_a_file_of_lines(folder: Path) -> None:
    """During a rotation a file holds the valid secrets, one a line; blanks inside a secret stay."""
    (folder / "s").write_text("old secret\n\n  new-secret\n")
    assert load(folder, f'[hook]\nsecrets_file = "{folder}/s"\n').hook.accepted() == (b"old secret", b"new-secret")


def test_a_secret_twice_in_one_place_is_an_error(folder: Path) -> None:
    """A secret beside its own file is ambiguous."""
    assert problems(folder, '[hook]\nsecret = "a"\nsecret_file = "b"\n') == [
        "rosterhook.toml: hook: secret and secret_file are both set: keep one"
    ]


def test_the_reference_is_fresh() -> None:
    """docs/configuration.md is what the generator writes, and tells every key and variable."""
    generator = runpy.run_path(str(DOCS / "generate_configuration.py"))
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert page == generator["markdown"](), "run: python docs/generate_configuration.py"
    for key in keys():
        assert f"### `{key.path}`" in page
        assert key.field.description or key.name == "data_dir", f"{key.path} has no description"
    assert all(f"`{variable}`" in page for variable in variables())


def test_the_example_of_the_reference_is_valid(folder: Path) -> None:
    """Whoever copies the example starts with it: every key in it is known, and every value good."""
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    toml = page.split("```toml\n")[1].split("```")[0]
    dotenv = page.split("```sh\n")[1].split("```")[0]
    (folder / "secret").write_text(SECRET)
    for name in ("admin-token", "okta-token", "hook-secret"):
        toml = toml.replace(f"/run/secrets/{name}", str(folder / "secret"))
        dotenv = dotenv.replace(f"/run/secrets/{name}", str(folder / "secret"))
    config = load(folder, toml)
    assert set(tomllib.loads(toml)) == set(Config.model_fields)
    assert load(folder, "", dotenv).okta == config.okta
