"""The command line's options for one OAuth app and for how callers are treated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rosterhook.simulator.auth.jose import public_jwks
from rosterhook.simulator.auth.principals import DEFAULT_CLIENT_ID, DEFAULT_SCOPES, ROLES, App


def add_options(add: Callable[..., Any]) -> None:
    """Add them to a parser, by its `add_argument`."""
    add("--app-key", metavar="FILE", help="the public key of an OAuth app, as PEM, JWK or JWKS")
    add("--client-id", metavar="ID", help=f"the app's client id (default {DEFAULT_CLIENT_ID})")
    add("--scopes", help=f'what is granted to the app (default "{" ".join(DEFAULT_SCOPES)}")')
    add("--role", choices=ROLES, help="the app's admin role (default super)")
    add("--dpop", action="store_true", help="the app must bind its tokens to a key")
    add("--token-seconds", type=float, metavar="S", help="how long an access token is good (default 3600)")
    add("--roleless", choices=("empty", "forbidden"), help="what lists are without a role (default empty)")


def pop_apps(options: dict[str, Any]) -> tuple[App, ...]:
    """Take the app's options out; the app, or none.

    Args:
        options: what was given, by name.

    Raises:
        ValueError: the key cannot be read, or there are options for an app without a key.
    """
    file, dpop = options.pop("app_key", None), options.pop("dpop", False)
    given = {name: options.pop(name) for name in ("client_id", "scopes", "role") if name in options}
    if file is None:
        if given or dpop:
            raise ValueError("--client-id, --scopes, --role and --dpop describe an app: it needs --app-key too")
        return ()
    if "scopes" in given:
        given["scopes"] = tuple(given["scopes"].split())
    return (App(keys=_keys(file), dpop=dpop, **given),)


def _keys(file: str) -> tuple[dict[str, Any], ...]:
    try:
        return public_jwks(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--app-key: cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"--app-key: {file}: {error}") from None
