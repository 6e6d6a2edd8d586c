"""Who may look: the admin token, as a header, a cookie or a link."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rosterhook.admin import AdminGuard
from rosterhook.config import Config
from rosterhook.credentials import admin_token, token_path
from rosterhook.errors import ConfigError

TOKEN = "admin-token-1234567890"


def client(token: str | None = TOKEN, scheme: str = "http") -> httpx2.AsyncClient:
    app = Starlette(routes=[Route("/{path:path}", lambda request: PlainTextResponse("inside"))])
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=AdminGuard(app, token)), base_url=f"{scheme}://host")


@pytest.mark.parametrize("path", ["/", "/getUsers", "/api/users", "/api/status", "/metrics", "/nowhere"])
async def test_strangers_get_nothing(path: str) -> None:
    """Without the token every path but the health checks is 401, and the answer says how to send it."""
    async with client() as asking:
        answer = await asking.get(path)
    assert answer.status_code == 401
    assert "Bearer" in answer.json()["hint"]
    assert TOKEN not in answer.text


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_health_needs_no_token(path: str) -> None:
    """A load balancer asks for the health without a token."""
    async with client() as asking:
        assert (await asking.get(path)).text == "inside"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        (TOKEN, 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer \xe9", 401),
    ],
)
async def test_bearer_token(header: str, status: int) -> None:
    """The API takes exactly the token as `Authorization: Bearer`."""
    async with client() as asking:
        answer = await asking.get("/api/users", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == status


async def test_link_is_exchanged_for_a_cookie() -> None:
    """A browser's `?token=` becomes a cookie that scripts and other sites cannot use, and a clean address."""
    async with client() as asking:
        answer = await asking.get("/getUsers", params={"token": TOKEN, "x": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/getUsers?x=1")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert "Secure" not in cookie
        assert TOKEN not in cookie
        assert (await asking.get("/getUsers")).text == "inside"


async def test_cookie_is_secure_behind_tls() -> None:
    """Over TLS, the proxy's or our own, the cookie never travels in the clear."""
    async with client() as asking:
        answer = await asking.get("/", params={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example"])
async def test_clean_address_never_leaves_this_host(path: str) -> None:
    """However the path is written, the redirect stays here."""
    async with client() as asking:
        answer = await asking.request("GET", f"http://host{path}?token={TOKEN}")
    assert answer.headers["location"].startswith("/")
    assert not answer.headers["location"].startswith(("//", "/\\"))


async def test_wrong_link_or_cookie_is_refused() -> None:
    """A wrong token in the link, or the token itself as a cookie, opens nothing."""
    async with client() as asking:
        assert (await asking.get("/", params={"token": "wrong"})).status_code == 401
        assert (await asking.get("/", headers={"Cookie": f"rosterhook_admin={TOKEN}"})).status_code == 401


async def test_open_demo_asks_nobody() -> None:
    """The demo, on loopback, has no token."""
    async with client(None) as asking:
        assert (await asking.get("/getUsers")).text == "inside"


def test_token_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    """A token that is not configured is generated once, long, and readable by its owner only."""
    config = Config.model_validate({"data_dir": tmp_path / "data"})
    token = admin_token(config)
    assert len(token) >= 40
    assert admin_token(config) == token
    assert stat.S_IMODE(token_path(config).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["admin-token"]


def test_configured_token_is_used_and_never_written(tmp_path: Path) -> None:
    """A configured token is taken as it is; no file is made."""
    config = Config.model_validate({"data_dir": tmp_path / "data", "server": {"admin_token": TOKEN}})
    assert admin_token(config) == TOKEN
    assert not (tmp_path / "data").exists()


def test_empty_token_file_opens_nothing(tmp_path: Path) -> None:
    """A token file that was emptied is an error with a cure, and no token at all is never a token that fits."""
    config = Config.model_validate({"data_dir": tmp_path / "data"})
    (tmp_path / "data").mkdir()
    token_path(config).write_text("")
    with pytest.raises(ConfigError, match="holds no admin token"):
        admin_token(config)


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {}])
async def test_guard_with_an_empty_token_lets_nobody_in(headers: dict[str, str]) -> None:
    """Whatever went wrong before, an empty token opens nothing."""
    async with client("") as asking:
        assert (await asking.get("/api/users", headers=headers)).status_code == 401
        assert (await asking.get("/api/users", params={"token": ""})).status_code == 401


def test_token_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    """A data_dir that cannot be used is named."""
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match="admin token"):
        admin_token(Config.model_validate({"data_dir": tmp_path / "data"}))
