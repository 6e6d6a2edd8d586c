"""The documentation is held against the product: commands, keys, links, examples, tests that it names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError

from rosterhook.cli import app
from rosterhook.config.keys import keys
from rosterhook.config.load import load_config
from rosterhook.okta.events import NEEDED
from rosterhook.simulator.options import option_parser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("decisions/*.md"))]
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}
EVERYTHING = "\n".join(TEXT.values())

FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
TEST_NAME = re.compile(r"`((?:tests|src)/[\w/]+\.py)::(\w+)`")
SOURCE_ROW = re.compile(r"^\| ((?:`[\w/.]+`(?:, )?)+) \|", re.MULTILINE)

#: Spelt in pieces, so that this file itself has none of them.
REGISTRIES = ("py" + "pi.org", "pythonhosted" + ".org", "npm" + "js", "deb" + ".debian", "security" + ".debian")
MACHINE = re.compile(r"(?<![\w.~])/(?:work|root|home|Users)/\w")


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Every fenced block of these languages: its page and its text."""
    return [
        (page.name, match[3]) for page, text in TEXT.items() for match in FENCE.finditer(text) if match[2] in languages
    ]


def commands() -> Iterator[str]:
    """Every `rosterhook ...` command that the documentation shows, without the program's name."""
    for _, text in blocks("sh"):
        for line in text.splitlines():
            if found := re.match(r"(?:\S*/)?rosterhook (.*)", line):
                yield found[1].split(" #")[0].strip()
    for text in TEXT.values():
        prose = FENCE.sub("", text)
        yield from (found.split("...")[0].strip() for found in re.findall(r"`rosterhook ([a-z][^`]*)`", prose))


def every_command(group: App, prefix: str) -> Iterator[tuple[str, App]]:
    """Each command that does something, with its whole name."""
    for name in [name for name in group if not name.startswith("-")]:
        command = group[name]
        if command.default_command is None:
            yield from every_command(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def tracked() -> list[Path]:
    """Every file that git would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git clone")
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def test_every_command_is_documented() -> None:
    """The page about operating names each command, and each of its options somewhere."""
    operating = TEXT[DOCS / "operating.md"]
    for name, command in every_command(app, ""):
        assert re.search(rf"`rosterhook {name}[` ]", operating), name
        for argument in command.assemble_argument_collection():
            for option in [] if not argument.show else argument.names:
                assert not option.startswith("--") or option in EVERYTHING, f"{name} {option}"


def test_every_option_of_the_simulator_is_documented() -> None:
    """The page about the simulator has each of its options."""
    page = TEXT[DOCS / "simulator.md"]
    for action in option_parser("rosterhook simulate")._actions:
        assert "--help" in action.option_strings or f"`{action.option_strings[0]}`" in page, action.option_strings


def test_every_key_is_documented() -> None:
    """The reference has each key of the configuration, with its variable."""
    reference = TEXT[DOCS / "configuration.md"]
    for key in keys():
        assert f"### `{key.path}`" in reference, key.path
        assert key.many or f"`{key.variable}`" in reference, key.variable


def test_every_event_to_subscribe_is_listed() -> None:
    """The README's list of events is the one that `hook create` subscribes to, no more and no less."""
    block = next(text for page, text in blocks("text") if page == "README.md")
    assert sorted(block.split()) == sorted(NEEDED)


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_every_command_shown_can_be_typed(command: str) -> None:
    """Each command in the documentation exists, with the options that it is shown with."""
    name, *arguments = shlex.split(command)
    if name == "simulate":
        option_parser("rosterhook simulate").parse_args(arguments)
        return
    try:
        app.parse_args([name, *arguments], print_error=False, exit_on_error=False)
    except CycloptsError as error:
        pytest.fail(f"rosterhook {command}: {error}")


def test_commands_are_found() -> None:
    """The search for commands finds those in blocks and those in prose."""
    assert {"check --merge-doubles --dry-run", "replay --parked", "serve"} <= set(commands())


def test_every_make_target_shown_exists() -> None:
    """Each `make ...` in the documentation is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = set(re.findall(r"(?:^|`)make ([a-z]+)", EVERYTHING, re.MULTILINE))
    assert {"demo", "test"} <= shown
    assert [name for name in shown if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_quick_start_is_two_commands() -> None:
    """A fresh machine needs `make demo` and `make test`, and nothing else."""
    quick_start = next(text for page, text in blocks("sh") if page == "README.md")
    assert quick_start == "make demo\nmake test\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """Each link to a file of this repository names one that is there."""
    for target, _ in LINK.findall(FENCE.sub("", TEXT[page])):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def test_every_file_named_in_the_flow_exists() -> None:
    """The table of files in flow.md names files of the package."""
    table = TEXT[DOCS / "flow.md"].split("## Which file does what")[1].split("## Tables")[0]
    names = [name for row in SOURCE_ROW.findall(table) for name in re.findall(r"`([\w/.]+)`", row)]
    assert len(names) > 20
    assert [name for name in names if not (ROOT / "src/rosterhook" / name).exists()] == []


def test_every_table_of_the_store_is_documented() -> None:
    """The tables in flow.md are those that the migrations make."""
    migrations = (ROOT / "src/rosterhook/store/migrations").rglob("*.sql")
    made = re.findall(r'^CREATE TABLE "?(\w+)', "\n".join(path.read_text() for path in migrations), re.MULTILINE)
    tables = TEXT[DOCS / "flow.md"].split("## Tables")[1]
    assert sorted(made) == sorted(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\|([^|]*)\|", tables, re.MULTILINE))))


@pytest.mark.parametrize(("path", "name"), sorted(set(TEST_NAME.findall(EVERYTHING))))
def test_every_test_named_exists(path: str, name: str) -> None:
    """A test that is said to prove a promise is there."""
    assert re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "text"), blocks("toml"), ids=lambda value: value if value.endswith(".md") else "block"
)
def test_every_toml_example_loads(tmp_path: Path, page: str, text: str) -> None:
    """Each example of a configuration is a valid one."""
    with_files = re.sub(r'^(\w+_file) = "([^"]+)"', rf'\1 = "{tmp_path}/\1"', text, flags=re.MULTILINE)
    for name in re.findall(r"^(\w+_file) = ", text, re.MULTILINE):
        (tmp_path / name).write_text("postgresql://user:password@db.example.com/app" if name == "url_file" else "value")
    path = tmp_path / "rosterhook.toml"
    path.write_text(with_files, encoding="utf-8")
    assert load_config(path, environ={}, cwd=tmp_path).targets


def test_every_python_example_passes(tmp_path: Path) -> None:
    """The examples in Python are tests; they are run as such."""
    for number, (_, text) in enumerate(blocks("python")):
        (tmp_path / f"test_example_{number}.py").write_text(text, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "--rootdir", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("script", ["draw_demo.py"])
def test_what_is_drawn_is_fresh(script: str) -> None:
    """The picture of the demo is what the demo would show today."""
    run = subprocess.run([sys.executable, str(DOCS / script), "--check"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_picture_loads_nothing() -> None:
    """The picture of the demo needs no font and no address of anybody else."""
    picture = (DOCS / "demo.svg").read_text(encoding="utf-8")
    assert "@font-face" not in picture
    assert "url(http" not in picture
    assert set(re.findall(r"https?://[\w.]+", picture)) == {"http://127.0.0.1", "http://www.w3.org"}


def test_no_file_names_a_registry_or_a_machine() -> None:
    """No tracked text names a host of a package registry or a path of one machine."""
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for host in REGISTRIES:
            assert host not in text, f"{path.relative_to(ROOT)}: {host}"
        found = MACHINE.search(text)
        assert found is None, f"{path.relative_to(ROOT)}: {found and text[found.start() : found.end() + 20]}"
