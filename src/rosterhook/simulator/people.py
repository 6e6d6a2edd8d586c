"""Random people, with the names that break careless programs."""

from __future__ import annotations

from random import Random
from typing import Any

Profile = dict[str, Any]

FIRST = (
    "José", "Zoë", "Łukasz", "Ольга", "美咲", "نور", "Søren", "Siân", "Ngọc", "Mary Ann", "Jean-Luc", "D'Arcy",
    'Robert "Bob"', "Αθηνά", "שרה", "Chloé", "Iñaki", "Priya", "Ada", "Grace", "Kwame", "Ayşe", "Dr. Add-Min",
)  # fmt: skip
LAST = (
    "O'Connor", "Müller", "Nguyễn", "Smith, Jr.", "Jones\"", "de la Cruz", "Østergård", "Иванова", "山田", "García",
    "van der Berg", "Çelik", "Back\\slash", "<b>Bold</b>", "Null", "Öztürk", "MacDonald", "Lee", "Papadopoulou",
)  # fmt: skip
MAILBOX = ("jose", "zoe.l", "o'connor", "MARY.ANN", "bob", "Olga", "misaki", "d-arcy", "ops+okta", "a_b")
TITLES = ("Engineer", "R&D Lead", 'Head of "People"', "Vertrieb, Süd", "CFO; acting", "数据分析师", "=SUM(A1:A9)")
DEPARTMENTS = ("R&D", "Sales", "Ingénierie", "人事", "Ops / Night", "Legal, Risk & Audit")
CITIES = ("Reykjavík", "Kraków", "São Paulo", "東京", "Saint-Étienne", "L'Aquila", "Göteborg")
SKILLS = ("python", "c++", "naïve bayes", "SQL; DROP", "日本語", "o'caml", "excel, advanced")


class Numbers:
    """Counts, so that no two people ever share a number."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> int:
        self._last += 1
        return self._last

    def dump(self) -> dict[str, Any]:
        """All that shall survive."""
        return {"last": self._last}

    def load(self, held: dict[str, Any]) -> None:
        """Be what `dump` returned once."""
        self._last = int(held["last"])


def random_profile(rng: Random, number: int) -> Profile:
    """A profile nobody else has, as long as nobody else has the number."""
    login = f"{rng.choice(MAILBOX)}.{number}@example.com"
    profile: Profile = {
        "firstName": rng.choice(FIRST),
        "lastName": rng.choice(LAST),
        "login": login,
        # One in ten has another address than the login (three of the recorded users do).
        "email": f"mail.{number}@example.org" if rng.random() < 0.1 else login,
        "mobilePhone": _phone(rng),
    }
    for name, chance in (("title", 0.7), ("department", 0.7), ("city", 0.4), ("skills", 0.3), ("badge", 0.4)):
        if rng.random() < chance:
            profile[name] = attribute_value(rng, name)
    if rng.random() < 0.4:
        profile["remote"] = attribute_value(rng, "remote")
    return profile


def random_changes(rng: Random, number: int) -> Profile:
    """A partial update of one to three attributes; sometimes one loses its value, seldom the login changes."""
    names = rng.sample(
        ("firstName", "lastName", "mobilePhone", "title", "department", "city", "skills", "badge", "remote"),
        rng.randint(1, 3),
    )
    changes = {name: attribute_value(rng, name) for name in names}
    if rng.random() < 0.1:
        changes[rng.choice(("title", "department", "city", "skills", "badge"))] = None
    if rng.random() < 0.05:
        changes["login"] = f"renamed.{rng.choice(MAILBOX)}.{number}@example.com"
    return changes


def attribute_value(rng: Random, name: str) -> Any:
    """A value that fits the attribute: text, a list, a number or a truth."""
    texts = {"firstName": FIRST, "lastName": LAST, "title": TITLES, "department": DEPARTMENTS, "city": CITIES}
    if name in texts:
        return rng.choice(texts[name])
    if name == "skills":
        return rng.sample(SKILLS, rng.randint(0, 3))
    if name == "badge":
        return rng.choice((rng.randrange(100_000), rng.randrange(1000) / 4))
    if name == "remote":
        return rng.random() < 0.5
    return _phone(rng)


def _phone(rng: Random) -> str | None:
    return None if rng.random() < 0.1 else f"+49 {rng.randrange(100, 999)} {rng.randrange(1_000_000):07d}"
