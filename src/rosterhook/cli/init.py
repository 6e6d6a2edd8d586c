"""`init`: five questions, and then the files of a new installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from rosterhook.cli.common import DryRun, hanging, out, plain
from rosterhook.cli.present import Known
from rosterhook.cli.questions import Options, Questions
from rosterhook.cli.setup_files import (
    DATABASE_FILE,
    DOTENV,
    Answers,
    Draft,
    drafts,
    has_hook_secret,
    has_ours,
    needs_file,
    write,
)
from rosterhook.config.load import load_config
from rosterhook.config.sources import CONFIG_VARIABLE, DEFAULT_FILE
from rosterhook.errors import ConfigError
from rosterhook.private_files import is_open_to_others

NO_OPTIONS = Options()
INTRODUCTION = (
    "Five questions, then rosterhook.toml and .env are written. Enter takes what stands in [brackets];"
    " Ctrl-C ends this, and nothing is written."
)


def init(
    *,
    options: Annotated[Options, Parameter(name="*")] = NO_OPTIONS,
    yes: Annotated[bool, Parameter(negative="", help="Ask nothing: take defaults for what no option says.")] = False,
    force: Annotated[bool, Parameter(negative="", help="Replace what is there; it is kept as *.bak.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Ask five questions and write rosterhook.toml and .env, with a new secret for the hook. Needs no network.

    Each option answers one question. No secret is an option: it is asked for, or read from a file.
    """
    folder = Path()
    options.refuse_contradictions()
    old = _old_dotenv(folder)
    if not force:
        _refuse_what_is_there(folder, old)
    answers = _answers(options, folder, somebody=sys.stdin.isatty() and not yes)
    if needs_file(answers) and not force:
        _refuse([DATABASE_FILE] if (folder / DATABASE_FILE).exists() else [])
    files = drafts(answers, old)
    if dry_run:
        _show(files)
        return
    open_to_others = is_open_to_others(folder / DOTENV)
    copies = write(folder, files, keep=force, check=lambda stage: _would_load(stage, answers))
    _tell_what_was_written(files, copies, secret_kept=has_hook_secret(old))
    _warn(folder, files, copies, answers, open_to_others=open_to_others)
    _tell_what_is_next(answers)


def _answers(options: Options, folder: Path, *, somebody: bool) -> Answers:
    known = Known.in_folder(folder)
    if somebody:
        out.print(hanging(plain(INTRODUCTION), 0), soft_wrap=True)
    try:
        return Questions(options, known, folder, somebody=somebody).answers()
    except (EOFError, KeyboardInterrupt):
        out.print("\nNothing was written.")
        raise KeyboardInterrupt from None


def _old_dotenv(folder: Path) -> str:
    path = folder / DOTENV
    if path.is_dir():
        raise ConfigError(f"{DOTENV} is a folder here: the secrets cannot be put there.", hint="Use another folder.")
    try:
        # Bytes, so that lines end as they did.
        return path.read_bytes().decode("utf-8") if path.exists() else ""
    except OSError as error:
        raise ConfigError(f"{DOTENV}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{DOTENV}: is not UTF-8 text.", hint="Save it as UTF-8.") from None


def _refuse_what_is_there(folder: Path, old_dotenv: str) -> None:
    there = [Path(DEFAULT_FILE)] if (folder / DEFAULT_FILE).exists() else []
    # What others keep in .env is no hindrance: it stays.
    _refuse([*there, Path(DOTENV)] if has_ours(old_dotenv) else there)


def _refuse(there: Sequence[Path]) -> None:
    if there:
        names = " and ".join(map(str, there))
        raise ConfigError(
            f"There is a configuration already: {names}. Nothing was changed.",
            hint="`rosterhook check` tells how it is; `rosterhook init --force` replaces it, and keeps it as *.bak.",
        )


def _would_load(stage: Path, answers: Answers) -> None:
    environ = {name: value for name, value in os.environ.items() if name.upper() != CONFIG_VARIABLE}
    # The file with its address is not in its place yet.
    target = {"name": "app", "type": "sql", "url": answers.target_url}
    overrides = {"targets": [target]} if needs_file(answers) else {}
    try:
        load_config(environ=environ, cwd=stage, overrides=overrides)
    except ConfigError as error:
        raise ConfigError(
            f"{error.message}\nThis is what would not work; nothing was written.",
            hint=error.hint or "Answer differently, or mend what is named: the environment and .env win over the file.",
        ) from None


def _show(files: Iterable[Draft]) -> None:
    for file in files:
        out.print(Text.assemble((f"# {file.path}", "bold"), f" (mode {file.mode:04o})"))
        for line in file.shown.splitlines():
            out.print(plain(line), soft_wrap=True)
        out.print()
    out.print("Nothing was written: --dry-run.")


def _tell_what_was_written(files: Iterable[Draft], copies: Iterable[Path], *, secret_kept: bool) -> None:
    out.print()
    for file in files:
        _say(f"Written  {file.path}{', for your eyes only (0600)' if file.mode == 0o600 else ''}")
    for copy in copies:
        _say(f"Kept     {_short(copy)}, what was there before")
    if any(DEFAULT_FILE in copy.name for copy in copies):
        _say(f"Only the five answers are taken over: what else {DEFAULT_FILE} said is in the copy alone.", "yellow")
    _say(f"The hook's secret in {DOTENV} is {'the one that was there' if secret_kept else 'new'}.")


def _warn(
    folder: Path, files: Iterable[Draft], copies: Iterable[Path], answers: Answers, *, open_to_others: bool
) -> None:
    if open_to_others:
        _say(f"{DOTENV} could be read by others; from now on only by you (0600).")
    secret = [str(file.path) for file in files if file.mode == 0o600]
    _warn_of_git(folder, [*secret, *map(_short, copies), f"{answers.data_dir}/"])
    if os.environ.get(CONFIG_VARIABLE):
        _say(f"{CONFIG_VARIABLE} is set: the commands read that file, not {DEFAULT_FILE}.", "yellow")


def _warn_of_git(folder: Path, paths: Sequence[str]) -> None:
    git = shutil.which("git")
    if git is None:
        return
    bare = []
    for path in paths:
        asked = [git, "-C", str(folder), "check-ignore", "--quiet", "--", path]
        # 1 is "not ignored"; 128 is no work tree, or a path outside of it.
        if subprocess.run(asked, capture_output=True, check=False).returncode == 1:  # noqa: S603 - our own words
            bare.append(path)
    if bare:
        _say(f"Git does not ignore {', '.join(bare)}: add that to .gitignore, it is secret.", "yellow")


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _tell_what_is_next(answers: Answers) -> None:
    where = "" if answers.hook_url else " --url https://<your host>/okta/events"
    steps = {
        "rosterhook check": "tells point by point what would not work",
        "rosterhook serve": "runs it on 127.0.0.1:8787, behind your TLS proxy: Okta calls https:// only",
    }
    if answers.login.given:
        steps[f"rosterhook hook create{where}"] = "makes the event hook in Okta, while `serve` runs"
    else:
        steps["Workflow > Event Hooks > Create Event Hook"] = "in the Admin Console; the README tells how"
    out.print("\n[bold]Next[/]")
    for number, (what, why) in enumerate(steps.items(), 1):
        out.print(hanging(Text.assemble(f"  {number}. ", (what, "bold"), f"  {why}"), 5), soft_wrap=True)


def _say(text: str, style: str = "") -> None:
    out.print(hanging(plain(text, style)), soft_wrap=True)
