"""The client as the configuration says: how it logs in, whom it trusts, and what is missing."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
from okta_app import CLIENT_ID, NOW, ORG, RSA_PEM, SCOPE, USER, App, date
from pydantic import SecretStr
from structlog.testing import capture_logs

from rosterhook import worker
from rosterhook.cli.common import secrets_of
from rosterhook.config import Config, OktaConfig
from rosterhook.config.load import load_config
from rosterhook.errors import ConfigError, OktaUnauthorized, OktaUnavailable
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.connect import MANAGE_EVENT_HOOKS, READ_USERS, check_scopes, connected, open_key_file
from rosterhook.okta.wire import trust_also
from rosterhook.sources import OktaSource
from rosterhook.stores import opened_stores


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App()
    app.okta_now = time.time()  # the clock of the client that the configuration makes
    yield app
    await app.aclose()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_text(RSA_PEM)
    path.chmod(0o600)
    return path


@pytest.fixture
def bad_key_file(key_file: Path) -> Path:
    key_file.write_text("no key at all, but secret")
    return key_file


@pytest.fixture
def open_file(tmp_path: Path) -> Path:
    path = tmp_path / "open.pem"
    path.write_text(RSA_PEM)
    path.chmod(0o644)
    return path


def service_app(key_file: Path, **settings: Any) -> OktaConfig:
    return OktaConfig(org_url=ORG, client_id=CLIENT_ID, private_key_file=key_file, **settings)


def problem(folder: Path, text: str) -> str:
    (folder / "rosterhook.toml").write_text(f"[okta]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, cwd=folder)
    return str(caught.value)


def test_there_is_one_way_to_log_in(tmp_path: Path) -> None:
    """Half a service app, two ways at once, or a way without an org: each is an error that says what to do."""
    org = f'org_url = "{ORG}"'
    key = "private_key = 'secret-key-material'"
    assert "set private_key_file" in problem(tmp_path, f'{org}\nclient_id = "0oa1"')
    assert "no client_id" in problem(tmp_path, f"{org}\n{key}")
    assert "keep one" in problem(tmp_path, f'{org}\ntoken = "t"\nclient_id = "0oa1"\n{key}')
    assert "no org_url" in problem(tmp_path, f'client_id = "0oa1"\n{key}')
    assert "secret-key-material" not in problem(tmp_path, f"{org}\n{key}")


def test_the_way_to_log_in_has_a_name(key_file: Path) -> None:
    """`login` is what the parts of the service ask."""
    assert service_app(key_file).login == "service_app"
    assert OktaConfig(org_url=ORG, token="t").login == "token"
    assert OktaConfig(org_url=ORG).login is None


def test_the_private_key_is_a_secret_of_the_configuration(key_file: Path) -> None:
    """What redacts the logs knows the key, and repr does not show it."""
    config = Config(okta=service_app(key_file))
    assert RSA_PEM.strip() in secrets_of(config)
    assert RSA_PEM.splitlines()[1] not in repr(config)


async def test_a_service_app_reads_users(app: App, key_file: Path) -> None:
    """Client id and key file are all that is needed; exactly the scopes that are given are asked for."""
    async with connected(service_app(key_file), [READ_USERS], transport=app.transport) as client:
        assert app.asked == []
        assert await client.user("00u1") == USER
    assert [asked["scope"] for asked in app.asked] == [SCOPE]


async def test_an_api_token_reads_users_without_a_token_endpoint() -> None:
    """With a token nothing of OAuth is asked."""
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json=USER)

    okta = OktaConfig(org_url=ORG, token="00token")
    async with connected(okta, [READ_USERS], transport=httpx2.MockTransport(answer)) as client:
        await client.user("00u1")
    assert [request.headers["authorization"] for request in asked] == ["SSWS 00token"]


async def test_an_api_token_that_is_refused_is_asked_once() -> None:
    """There is no other token to try: nothing is repeated."""
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(401, json={"errorCode": "E0000011"}, headers={"dpop-nonce": "x"})

    okta = OktaConfig(org_url=ORG, token="00token")
    async with connected(okta, [READ_USERS], transport=httpx2.MockTransport(answer)) as client:
        with pytest.raises(OktaUnauthorized):
            await client.user("00u1")
    assert len(asked) == 1


async def test_the_worker_asks_for_the_least_scopes(key_file: Path, tmp_path: Path) -> None:
    """It reads users and the log with a token each, so that a scope that is missing for one hinders the other not; both
    within the budget that `status` shows.
    """
    async with opened_stores(tmp_path / "data") as stores:
        config = Config(okta=service_app(key_file))
        async with worker._okta(config, stores.state) as okta:
            assert isinstance(okta.source, OktaSource)
            assert okta.source._client is okta.users
            assert okta.users._auth.scopes == ("okta.users.read",)
            assert okta.log._auth.scopes == ("okta.logs.read",)
            assert okta.users._budget is okta.log._budget is okta.budget


@pytest.mark.parametrize(
    ("okta", "why"), [(OktaConfig(org_url=ORG), "no way to log in"), (OktaConfig(), "no org to ask")]
)
async def test_without_a_login_there_is_no_client(okta: OktaConfig, why: str) -> None:
    """What is missing is a mistake of the configuration."""
    with pytest.raises(ConfigError, match=why):
        async with connected(okta, [READ_USERS]):
            pass


async def test_a_key_that_is_none_is_told_with_its_file(bad_key_file: Path) -> None:
    """The error names the key of the configuration and the file, not what is in it."""
    with pytest.raises(ConfigError, match=r"okta\.private_key_file .*key\.pem is neither PEM nor a JWK") as caught:
        async with connected(service_app(bad_key_file), [READ_USERS]):
            pass
    assert "secret" not in str(caught.value)


async def test_a_key_file_that_others_may_read_is_a_warning(app: App, key_file: Path, open_file: Path) -> None:
    """The service starts, and the log tells the cure; a file of one's own is no matter."""
    assert open_key_file(service_app(key_file)) == ""
    with capture_logs() as logs:
        async with connected(service_app(open_file), [READ_USERS], transport=app.transport):
            pass
    [warning] = [line for line in logs if line["event"] == "okta.key_file_is_open"]
    assert "chmod 600" in warning["reason"]


async def test_scopes_are_checked_one_by_one(app: App, key_file: Path) -> None:
    """Each scope gets an answer of its own: granted, or Okta's refusal with what to do."""
    wanted = [READ_USERS, "okta.logs.read", MANAGE_EVENT_HOOKS]
    found = await check_scopes(service_app(key_file), wanted, transport=app.transport)
    assert [(check.scope, check.granted) for check in found] == list(zip(wanted, (True, False, True), strict=True))
    assert [asked["scope"] for asked in app.asked] == wanted
    assert found[1].problem is not None
    assert "okta.logs.read" in found[1].problem.hint
    assert "okta.users.read" not in found[1].problem.hint


async def test_a_token_without_the_scope_is_not_granted(app: App, key_file: Path) -> None:
    """A token that lacks what was asked for is no proof of the scope."""
    body = {"access_token": "x", "token_type": "Bearer", "expires_in": 3600, "scope": "okta.groups.read"}
    app.outage = httpx2.Response(200, json=body)
    [found] = await check_scopes(service_app(key_file), [READ_USERS], transport=app.transport)
    assert not found.granted


async def test_scopes_of_a_refused_app_are_an_error(app: App, key_file: Path) -> None:
    """When Okta does not accept the app at all, no scope is called missing."""
    app.outage = httpx2.Response(401, json={"error": "invalid_client"})
    with pytest.raises(OktaUnauthorized):
        await check_scopes(service_app(key_file), [READ_USERS], transport=app.transport)


async def test_an_api_token_has_no_scopes() -> None:
    """There is nothing to check, and nothing is asked."""
    assert await check_scopes(OktaConfig(org_url=ORG, token="t"), [READ_USERS]) == []


@pytest.mark.parametrize(("ahead", "told"), [(0.0, 0.0), (95.0, 95.0), (-3600.0, -3600.0)])
async def test_check_tells_how_far_the_clocks_are_apart(ahead: float, told: float) -> None:
    """Positive is a clock of ours that is ahead of Okta's; to the second, as the header Date is."""
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=[], headers={"date": date(NOW)}))
    auth = SswsAuth(SecretStr("t"))
    client = OktaClient(ORG, auth, Budget(1.0), timeout_seconds=5, transport=transport, now=lambda: NOW + ahead + 0.4)
    assert (await client.check())["clock_skew_seconds"] == told
    await client.aclose()


@asynccontextmanager
async def tls_org(authority: trustme.CA) -> AsyncIterator[str]:
    """An org on loopback that answers one user to everything, with a certificate of this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    body = b'{"id": "00u1"}'
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "localhost", 0, ssl=context)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


async def _read(okta: OktaConfig, scopes: Sequence[str] = ()) -> Any:
    async with connected(okta, scopes) as client:
        return await client.user("00u1")


async def test_an_authority_of_one_s_own_is_trusted_beside_the_system_s(tmp_path: Path) -> None:
    """okta.ca_file makes a certificate good that the system does not know; without it, the error names that key."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with tls_org(authority) as url:
        assert await _read(OktaConfig(org_url=url, token="t", ca_file=tmp_path / "ca.pem")) == {"id": "00u1"}
        with pytest.raises(OktaUnavailable, match=r"okta\.ca_file"):
            await _read(OktaConfig(org_url=url, token="t"))


async def test_the_system_s_authorities_stay_trusted(tmp_path: Path) -> None:
    """okta.ca_file adds to the system's list; it does not replace it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    known = len(httpx2.create_ssl_context(trust_env=False).get_ca_certs())
    assert len(trust_also(tmp_path / "ca.pem").get_ca_certs()) == known + 1


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), ("no certificate", "holds no PEM certificate")])
def test_a_file_without_certificates_is_refused(tmp_path: Path, content: str | None, why: str) -> None:
    """okta.ca_file is looked at when the configuration is read."""
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    assert why in problem(tmp_path, f'ca_file = "{tmp_path}/ca.pem"')
