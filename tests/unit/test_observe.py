"""No secret is in any line of the log, however it got there."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosterhook.observe import REDACTED, Redactor, without_password

SECRET = "hunter2/of the-örg"
#: Without what JSON itself is made of, or the mark of a redaction: then a match is a leak.
LETTERS = "abcxyz0189/@:%+&=?~é'😀"

texts = st.text(LETTERS, max_size=8)


def processed(event: dict[str, Any], *secrets: str) -> str:
    return json.dumps(Redactor(secrets)(None, "info", event), ensure_ascii=False)


@st.composite
def secret_and_event(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A secret, and a nested structure that has it in many places."""
    secret = draw(st.text(LETTERS, min_size=4, max_size=12))
    carriers = st.builds(
        lambda before, form, after: f"{before}{form}{after}",
        texts,
        st.sampled_from([secret, quote(secret, safe=""), quote(secret), quote(secret, safe="").lower()]),
        texts,
    )
    numbers = st.integers() | st.floats()
    if secret.isdigit() and secret.isascii() and secret[0] != "0":
        numbers |= st.just(int(secret))
    keys = carriers | texts | st.just("token") | carriers.map(str.encode)
    leaves = carriers | carriers.map(str.encode) | texts | numbers | st.booleans() | st.none()
    values = st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner, inner)
            | st.frozensets(carriers, max_size=2)
            | st.dictionaries(keys, inner, max_size=3)
        ),
        max_leaves=8,
    )
    return secret, draw(st.dictionaries(carriers | texts, values, min_size=1, max_size=4))


@given(secret_and_event())
def test_a_known_secret_is_nowhere(drawn: tuple[str, dict[str, Any]]) -> None:
    """Whatever structure holds a known secret, as key or value, plain or percent-encoded: the line does not."""
    secret, event = drawn
    line = processed(event, secret)
    assert secret not in line
    assert quote(secret, safe="") not in line


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        SECRET.replace(" ", "+").replace("/", "%2F").replace("ö", "%C3%B6"),
        repr({"a": SECRET}),
        repr(SECRET.encode()),
        json.dumps({"a": SECRET}),
    ],
)
def test_every_form_of_a_secret_goes(text: str) -> None:
    """A secret in an address, in a body of JSON or in a printed value is found there too."""
    line = processed({"event": f"before {text} after"}, SECRET)
    assert REDACTED in line
    assert "hunter2" not in line


@pytest.mark.parametrize("secret", ['qu"ote\\back', "two words, more", "['x': 1]", "tab\tnewline\n."])
def test_a_secret_of_odd_characters_goes(secret: str) -> None:
    """What JSON or Python escapes is found escaped as well."""
    for text in (secret, json.dumps([secret]), repr([secret])):
        assert processed({"event": f"before {text} after"}, secret).count(REDACTED) == 1


@pytest.mark.parametrize(
    "value",
    ["x-4711", b"x-4711", ["x-4711"], ("x-4711",), {"deep": {"er": "x-4711"}}, {"x-4711"}, 4711],
)
def test_what_stands_under_a_secrets_name_goes(value: object) -> None:
    """Under a key such as "token" nothing is shown, whatever its type, at the top or below."""
    assert "4711" not in processed({"token": value, "list": [{"Client_Secret": value, b"password": value}]})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:pa-4711@h/db",
        "postgresql://u:pa/ss-4711@h/db",
        "postgresql://u:p@ss-4711@h/db",
        "postgresql://u@h:pa-4711@h/db",
        "https://u:pa-4711@h/path",
        "postgresql://h/db?password=pa-4711",
        "postgresql://h/db?a=1&sslpassword=pa-4711&b=2",
        "http://127.0.0.1:1/?token=pa-4711#top",
    ],
)
def test_the_password_in_an_address_goes(url: str) -> None:
    """A password that rosterhook was never told of is found by its place in an address."""
    assert "4711" not in processed({"event": f"cannot reach {url} now"})
    assert "4711" not in without_password(url)


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8787/okta/events",
        "https://a.okta.com:8443/api/v1/users?search=login eq a@b.c",
        "https://a.okta.com:8443/api/v1/users/a@b.c",
        "sqlite:///data/users.db",
        "the token a@b.c = 1",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """An address without a password is printed whole, and numbers stay numbers."""
    assert json.loads(processed({"event": text, "count": 3, "share": 0.5, "ok": True, "none": None}, SECRET)) == {
        "event": text, "count": 3, "share": 0.5, "ok": True, "none": None,
    }  # fmt: skip


def test_a_long_text_does_not_keep_the_log_busy() -> None:
    """A text that is made to be searched for long is searched in a moment."""
    for text in ("://x:" * 20_000, "?token" * 20_000, "http://x:" + "a" * 100_000):
        assert "event" in processed({"event": text}, SECRET)
