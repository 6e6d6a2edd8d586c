"""What the simulator's command line takes and refuses, and what a newcomer is told."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx2
import pytest

from rosterhook.simulator import Settings, in_process, running
from rosterhook.simulator.__main__ import main
from rosterhook.simulator.auth.principals import App
from rosterhook.simulator.checks import BadSetting
from rosterhook.simulator.options import chosen, option_parser
from rosterhook.simulator.welcome import example, news

NONSENSE = [
    (["--users", "-1"], "--users is a whole number, 0 or more"),
    (["--users", "many"], "argument --users: invalid int value: 'many'"),
    (["--late-rows", "3"], "--late-rows is a probability, from 0 to 1"),
    (["--late-rows", "nan"], "--late-rows is a probability, from 0 to 1"),
    (["--late-seconds", "inf"], "--late-seconds is a number, 0 or more"),
    (["--concurrency", "0"], "--concurrency is a whole number, 1 or more"),
    (["--rate-multiplier", "-1"], "--rate-multiplier is a number, above 0"),
    (["--principal-share", "2"], "--principal-share is a number, above 0, 1 at most"),
    (["--batch-seconds", "-1"], "--batch-seconds is a number, 0 or more"),
    (["--max-batch", "0"], "--max-batch is a whole number, 1 or more"),
    (["--index-lag-seconds", "-1"], "--index-lag-seconds is a number, 0 or more"),
    (["--latency-ms", "-1"], "--latency-ms is a number, 0 or more"),
    (["--token-seconds", "0"], "--token-seconds is a number, above 0"),
    (["--hook-start-seconds", "-1"], "--hook-start-seconds is a number, 0 or more"),
    (["--hook-daily-limit", "-1"], "--hook-daily-limit is a whole number, 0 or more"),
    (["--hook-quiet-failures", "0"], "--hook-quiet-failures is a whole number, 1 or more"),
    (["--token", ""], "--token is not empty and has no blanks"),
    (["--token", "hush hush"], "--token is not empty and has no blanks"),
    (["--token", "hush\u00fc"], "--token is text that a header can hold: ASCII, in one line"),
    (["--hook-url", "ftp://hush"], "--hook-url is an address that begins with http:// or https://"),
    (["--hook-url", "http://"], "--hook-url is an address that begins with http:// or https://"),
    (["--hook-url", "http://hush:x/"], "--hook-url is an address that begins with http:// or https://"),
    (["--hook-secret", "hush\nhush"], "--hook-secret is text that a header can hold: ASCII, in one line"),
    (["--hook-header", "a b"], "--hook-header is the name of a header"),
    (["--port", "-1"], "--port -1 does not exist: ports go from 0 to 65535"),
    (["--tls-name", "x"], "--ca-file and --tls-name are for https: they need --tls"),
    (["--issue-cert", "x", "y"], "--issue-cert needs --tls"),
    (["--role", "none"], "--client-id, --scopes, --role and --dpop describe an app: it needs --app-key too"),
    (["--user", "5"], "unrecognized arguments: --user 5"),
]


@pytest.mark.parametrize(("options", "told"), NONSENSE)
def test_nonsense_is_told_in_one_line(options, told, capsys):
    """An option that makes no sense is named as it was typed, in one line, with exit code 2, and without secrets."""
    with pytest.raises(SystemExit) as ended:
        main(options, program="rosterhook simulate")
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"rosterhook simulate: {told}\n")
    assert "hush" not in said.err


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("users", True, "users is a whole number, 0 or more"),
        ("batch_seconds", -(10**400), "batch_seconds is a number, 0 or more"),
        ("users", 1.5, "users is a whole number, 0 or more"),
        ("seed", "1", "seed is a whole number"),
        ("port", 8080.5, "port is a whole number"),
        ("hook_timeout_seconds", 0, "hook_timeout_seconds is a number, above 0"),
        ("parallel_deliveries", 0, "parallel_deliveries is a whole number, 1 or more"),
        ("rate_limits", {"user": 1, "logins": 5}, "rate_limits has no logins; there are users, user, "),
        ("rate_limits", {"user": 0}, "rate_limits of user is a whole number, 1 or more"),
        ("hook_headers", {"A": "hush\n"}, "hook_headers of A is text"),
        ("hook_headers", {"hush\n": "1"}, "each of hook_headers is the name of a header"),
        ("roleless", "none", 'roleless is "empty" or "forbidden"'),
        ("late_rows", "<users>", "late_rows is a probability"),
    ],
)
def test_settings_that_make_no_sense_are_told_by_name(name, value, told):
    """From Python the same mistakes name the setting."""
    with pytest.raises(BadSetting, match=re.escape(told)) as error:
        Settings(**{name: value})
    assert isinstance(error.value, ValueError)
    assert "hush" not in str(error.value)


def test_every_option_becomes_its_setting():
    """Options that are given are settings; those that are not leave the settings as they are."""
    parser = option_parser("simulate")
    typed = "--users 3 --late-rows 0.5 --tls --tls-name a.test --issue-cert b.test out --state org.json --patient"
    settings, certificates = chosen(parser, typed.split())
    assert replace(
        settings, users=0, late_rows=0.0, tls=False, tls_names=(), state_file=None, patient=False
    ) == Settings(apps=())
    assert (settings.users, settings.tls_names, str(settings.state_file)) == (3, ["a.test"], "org.json")
    assert certificates == [["b.test", "out"]]
    assert chosen(parser, []).settings == Settings()


def test_help_is_in_groups(capsys):
    """Every option stands in one of the groups, and only the help itself outside of them."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"], program="rosterhook simulate")
    assert ended.value.code == 0
    titles = re.findall(r"^(\w[\w ]*):$", capsys.readouterr().out, re.MULTILINE)
    assert titles == ["options", "where it listens", "org", "login", "hooks", "limits and lateness", "files"]


async def test_a_browser_is_told_what_this_is():
    """The page at / says what answers, where its control paths are, and a command that works."""
    async with running(Settings(users=1)) as simulator, httpx2.AsyncClient(trust_env=False) as client:
        page = await client.get(simulator.url)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert "simulated Okta org" in page.text
        assert f"{simulator.url}/_sim/" in page.text
        name, value, url = re.search(r'curl -H "(\w+): ([^"]*)" (\S+)', page.text).groups()
        assert len((await client.get(url, headers={name: value})).json()) == 1


@pytest.mark.parametrize(
    "settings", [Settings(token="hush"), Settings(host="0.0.0.0", allow_remote=True)], ids=["own", "remote"]
)
async def test_a_token_that_may_be_a_secret_is_shown_to_nobody(settings):
    """A token of one's own is on no page, nor the usual one where others can call."""
    async with in_process(settings) as (simulator, okta):
        page = (await okta.get("/")).text
        assert example(simulator, simulator.url) in page
    assert 'Authorization: SSWS <the token>"' in page
    assert settings.token not in page


async def test_only_a_person_is_shown_an_example():
    """In a terminal the last line is a command to try; for a program the lines are as ever."""
    async with running(Settings(tls=True)) as simulator:
        lines = list(news(simulator, goes_on=False, terminal=False))
        assert lines == [f"simulator listening on {simulator.url}", f"CA certificate: {simulator.ca_file}"]
        shown = list(news(simulator, goes_on=False, terminal=True))
    command = f'curl --cacert {simulator.ca_file} -H "Authorization: SSWS sim-token" {simulator.url}/api/v1/users'
    assert shown == [*lines, f"try: {command}"]


def test_an_app_that_cannot_be_is_a_mistake_of_the_command_line(tmp_path, capsys):
    """Also what an app refuses is told in one line."""
    key = tmp_path / "key.pem"
    key.write_text("hush")
    with pytest.raises(SystemExit):
        main(["--app-key", str(key)], program="rosterhook simulate")
    assert capsys.readouterr().err.startswith(f"rosterhook simulate: --app-key: {key}: no RSA or EC key")
    with pytest.raises(ValueError, match="no such role: king"):
        App(role="king")
