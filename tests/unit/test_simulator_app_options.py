"""The command line's way to an OAuth app."""

from __future__ import annotations

import argparse

import pytest

from oauth_caller import APP_KEY
from rosterhook.simulator.auth.options import add_options, pop_apps


def apps(*arguments: str):
    """The apps that these options describe, as the program reads them."""
    parser = argparse.ArgumentParser()
    add_options(parser.add_argument)
    given = vars(parser.parse_args(arguments))
    return pop_apps({name: value for name, value in given.items() if value is not None})


def test_no_key_no_app():
    """Without a key there is no app."""
    assert apps() == ()


def test_a_key_is_enough(tmp_path):
    """A key file makes an app that may do what this project's service needs; all else can be said."""
    file = tmp_path / "public.pem"
    file.write_bytes(APP_KEY.as_pem(private=False))
    (app,) = apps("--app-key", str(file))
    assert (app.client_id, app.role, app.dpop) == ("0oasimulatedapp00001", "super", False)
    assert "okta.users.read" in app.scopes
    (app,) = apps(
        *("--app-key", str(file), "--client-id", "0oaMine", "--scopes", "okta.users.read okta.logs.read"),
        *("--role", "read_only", "--dpop"),
    )
    assert (app.client_id, app.role, app.dpop) == ("0oaMine", "read_only", True)
    assert app.scopes == ("okta.users.read", "okta.logs.read")


@pytest.mark.parametrize("arguments", [("--dpop",), ("--client-id", "x"), ("--scopes", "okta.users.read")])
def test_an_app_needs_a_key(arguments):
    """Options that describe an app without a key are a mistake, and are told as one."""
    with pytest.raises(ValueError, match="--app-key"):
        apps(*arguments)


def test_a_bad_key_file_is_told(tmp_path):
    """A file that isn't there, or is no key, is named, without what is in it."""
    with pytest.raises(ValueError, match=r"cannot read .*none\.pem: No such file"):
        apps("--app-key", str(tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("hush hush")
    with pytest.raises(ValueError, match=r"bad\.pem: no RSA or EC key") as told:
        apps("--app-key", str(tmp_path / "bad.pem"))
    assert "hush" not in str(told.value)
