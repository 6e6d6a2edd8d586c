"""Attribute values in columns: strict, and parked with the kind of the problem."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from rosterhook.mapping import reader
from rosterhook.targets.sql_alike import alike_for
from rosterhook.targets.sql_table import Found, type_name
from rosterhook.targets.sql_values import Field, Unfit, Unsupported, converter, readable

LITE, PG, MY = sqlite.dialect(), postgresql.dialect(), mysql.dialect()
UTC_NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("kind", "dialect", "value", "stored"),
    [
        (sa.Text(), PG, "Zoë", "Zoë"),
        (sa.Text(), PG, 12, "12"),
        (sa.Text(), PG, True, "true"),
        (sa.Text(), PG, 1.5, "1.5"),
        (sa.Text(), PG, ["é", 1], '["é", 1]'),
        (sa.Text(), PG, {"b": 1, "a": None}, '{"a": null, "b": 1}'),
        (sa.String(3), PG, "abc", "abc"),
        (sa.types.NullType(), LITE, "any", "any"),
        (sa.Integer(), PG, 12, 12),
        (sa.Integer(), PG, "12", 12),
        (sa.Integer(), PG, "-0012", -12),
        (sa.Integer(), PG, 12.0, 12),
        (sa.Integer(), LITE, True, 1),
        (sa.Integer(), LITE, 2**63 - 1, 2**63 - 1),
        (mysql.TINYINT(1), MY, True, 1),
        (mysql.INTEGER(unsigned=True), MY, 2**32 - 1, 2**32 - 1),
        (sa.Boolean(), PG, False, False),
        (sa.Boolean(), PG, "true", True),
        (sa.Numeric(10, 2), PG, "12.50", Decimal("12.50")),
        (sa.Numeric(10, 2), PG, 12, Decimal(12)),
        (sa.Numeric(10, 2), LITE, "12.5", 12.5),
        (sa.Float(), PG, "1e3", 1000.0),
        (sa.DateTime(timezone=True), PG, "2026-01-02T12:00:00.000Z", UTC_NOON),
        (sa.DateTime(timezone=True), PG, "2026-01-02T14:00:00+02:00", UTC_NOON),
        (sa.DateTime(timezone=True), PG, "2026-01-02T12:00:00", UTC_NOON),
        (sa.DateTime(), MY, "2026-01-02T14:00:00+02:00", UTC_NOON.replace(tzinfo=None)),
        (sa.DateTime(), LITE, "2026-01-02T12:00:00.000Z", "2026-01-02 12:00:00.000000"),
        (sa.Date(), PG, "2026-01-02", date(2026, 1, 2)),
        (sa.Date(), LITE, "2026-01-02T23:00:00-05:00", "2026-01-03"),
        (postgresql.JSONB(), PG, {"a": [1]}, {"a": [1]}),
        (sa.JSON(), LITE, {"a": [1]}, '{"a": [1]}'),
        (sa.Enum("S", "M", name="size"), PG, "M", "M"),
        (postgresql.UUID(), PG, "12345678123456781234567812345678", uuid.UUID(int=0x12345678123456781234567812345678)),
    ],
)
def test_a_value_that_fits_is_stored(
    kind: sa.types.TypeEngine, dialect: Dialect, value: object, stored: object
) -> None:
    """A value is stored in the column's own kind when it is exactly that, and as JSON in a column of text."""
    result = converter(kind, dialect)(value)
    assert (result, type(result)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("kind", "dialect", "value", "why"),
    [
        (sa.Integer(), PG, "twelve", "it is text"),
        (sa.Integer(), PG, "1_2", "it is text"),
        (sa.Integer(), PG, " 12", "it is text"),
        (sa.Integer(), PG, "١٢", "it is text"),
        (sa.Integer(), PG, "", "it is text"),
        (sa.Integer(), PG, True, "it is true or false"),
        (sa.Integer(), PG, 1.5, "it is a number with a fraction"),
        (sa.Integer(), PG, [1], "it is a list"),
        (sa.Integer(), PG, 2**31, "it is a number beyond the column's range"),
        (sa.SmallInteger(), PG, 2**15, "it is a number beyond the column's range"),
        (sa.BigInteger(), PG, 2**63, "it is a number beyond the column's range"),
        (sa.Integer(), LITE, "9" * 5000, "it is text"),
        (mysql.INTEGER(unsigned=True), MY, -1, "it is a number beyond the column's range"),
        (sa.Boolean(), PG, 1, "it is a number"),
        (sa.Boolean(), PG, "True", "it is text"),
        (sa.Numeric(), PG, "NaN", "it is text"),
        (sa.Float(), PG, "1e999", "it is a number beyond the column's range"),
        (sa.Float(), PG, {}, "it is an object"),
        (sa.DateTime(), PG, "yesterday", "it is text that is no ISO 8601 time"),
        (sa.DateTime(), PG, "0001-01-01T00:00:00+14:00", "it is text that is no ISO 8601 time"),
        (sa.DateTime(), PG, 12, "it is a number"),
        (sa.String(3), PG, "abcd", "it has 4 characters, the column holds 3"),
        (mysql.TINYTEXT(), MY, "é" * 128, "it has 256 bytes, the column holds 255"),
        (mysql.TEXT(), MY, "x" * 65536, "it has 65536 bytes, the column holds 65535"),
        (sa.Text(), PG, "a\0b", "it has a NUL character, which the database refuses"),
        (postgresql.JSONB(), PG, {"a": "\0"}, "it has a NUL character, which the database refuses"),
        (sa.Text(), LITE, "\ud800", "it has half of a surrogate pair, which is no character"),
        (postgresql.JSONB(), PG, ["\ud800"], "it has half of a surrogate pair, which is no character"),
        (sa.Text(), LITE, float("nan"), "it is not a number of JSON"),
        (sa.Enum("S", "M", name="size"), PG, "XL", "it is none of the column's values"),
        (postgresql.UUID(), PG, "00u1", "it is text that is no UUID"),
    ],
)
def test_a_value_that_does_not_fit_tells_why(
    kind: sa.types.TypeEngine, dialect: Dialect, value: object, why: str
) -> None:
    """A value of another kind is refused by its kind or size, and its text is never repeated."""
    with pytest.raises(Unfit) as refused:
        converter(kind, dialect)(value)
    assert str(refused.value) == why


@given(value=JSON.filter(lambda value: value is not None))
def test_any_json_fits_or_is_refused(value: object) -> None:
    """Whatever Okta sends, a column of any kind stores it or refuses it: nothing else is raised."""
    kinds = [sa.Text(), sa.String(5), sa.Integer(), sa.Boolean(), sa.Numeric(), sa.Float(), sa.DateTime(), sa.Date()]
    kinds += [sa.JSON(), sa.Enum("a"), sa.Uuid(), mysql.TINYINT(1)]
    for kind in kinds:
        for dialect in (LITE, PG, MY):
            with suppress(Unfit):
                converter(kind, dialect)(value)


@pytest.mark.parametrize("kind", [sa.LargeBinary(), postgresql.INET(), sa.Time(), sa.types.NullType()])
def test_other_types_are_not_supported(kind: sa.types.TypeEngine) -> None:
    """A type that rosterhook does not know is refused before anything is written."""
    with pytest.raises(Unsupported):
        converter(kind, PG)


def field_of(column: str, path: str, kind: TypeEngine[Any], *, nullable: bool) -> Field:
    """A column of PostgreSQL."""
    return Field(column, path, reader(path), type_name(kind, PG), nullable, converter(kind, PG), alike_for(kind, PG))


def test_the_reason_names_column_and_attribute() -> None:
    """A refusal names the column, its type and the attribute."""
    field = field_of("age", "profile.age", sa.Integer(), nullable=True)
    with pytest.raises(Unfit) as refused:
        field.value_of({"profile": {"age": "secret"}})
    assert str(refused.value) == 'column "age" (INTEGER) cannot hold profile.age: it is text'


def test_nothing_is_null_where_null_is_allowed() -> None:
    """A missing attribute is NULL, and a reason to park where the column is NOT NULL."""
    assert field_of("x", "profile.y", sa.Text(), nullable=True).value_of({"profile": {}}) is None
    with pytest.raises(Unfit, match=r'^column "x" is NOT NULL but the user has no profile\.y$'):
        field_of("x", "profile.y", sa.Text(), nullable=False).value_of({"profile": {}})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (UTC_NOON, "2026-01-02T12:00:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (Decimal("1.50"), "1.50"),
        (b"\x01", "01"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": 1}, {"a": 1}),
        (None, None),
    ],
)
def test_what_is_read_is_json(value: object, shown: object) -> None:
    """Every value of a snapshot can be written as JSON."""
    assert readable(value) == shown


def test_a_type_is_named_as_the_database_writes_it() -> None:
    """Messages name a column's type with its length and without its collation."""
    assert type_name(sa.Numeric(10, 2), PG) == "NUMERIC(10, 2)"
    assert type_name(mysql.VARCHAR(64, collation="utf8mb4_bin"), MY) == "VARCHAR(64)"
    assert type_name(sa.types.NullType(), LITE) == "of no type"


def test_a_number_that_sqlite_gives_itself_needs_no_default() -> None:
    """SQLite fills an INTEGER PRIMARY KEY by itself, and no other NOT NULL column."""
    about = {"nullable": False, "default": None, "type": sa.INTEGER()}
    found = Found({"id": about, "n": about}, ("id",), {})
    assert found.fills("id")
    assert not found.fills("n")
