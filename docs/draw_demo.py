"""Draws docs/demo.svg: the demo's screen, by the very code that shows it, with a moment that never changes.

python docs/draw_demo.py            draw it
python docs/draw_demo.py --check    exit with 1 unless the picture is fresh
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from rosterhook.cli.demo_view import Glimpse, view

PICTURE = Path(__file__).with_name("demo.svg")
WIDTH = 120

#: Rich's own frame, but without the web fonts that it would load from elsewhere.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

STATUS = {
    "deliveries": {"received": 48, "waiting": 0, "quarantined": 0},
    "events": {"stored": 422, "duplicates": 0},
    "subjects": {"due": 0, "parked": 0, "oldest_due_seconds": 0.0},
    "users": {"active": 146, "total": 209, "deleted": 0},
    "targets": [{"name": "tutorial", "in_sync": 209, "pending": 0, "parked": 0, "error": ""}],
    "okta": {"mode": "token", "budget": {}, "error": "", "read_seconds_ago": 0.2},
    "lag_seconds": {"p50": 0.46, "p99": 0.71},
    "worker": {"running": True},
}
ROWS = [
    (1, "Test", "User", "testuser@doesnotexit.com", "111-222-3333", "1234"),
    (203, "Ana", "Demo", "ana.203@example.com", "+49 483 0128", "00uTPHCTLC4hW0Qe8d7"),
    (205, "Bo", "Demo", "bo.205@example.com", "+49 275 0861", "00upajnxIZgF1sVY2d7"),
    (206, "Chi", "Demo", "chi.206@example.com", "+49 803 0594", "00udyWdcB3O9mKJv5d7"),
    (207, "Dee", "Demo", "dee.207@example.com", "+49 487 0013", "00u4fTxfnPAqW6Lx1d7"),
    (208, "Eli", "Demo", "eli.208@example.com", "+49 427 0352", "00us605JaQSzR8Tb3d7"),
    (209, "Flo", "Demo", "flo.209@example.com", "+49 111 0585", "00uaLHsDGNY7cPoE6d7"),
    (210, "Gus", "Demo", "gus.210@example.com", "", "00uk51EdSPPnX2Uf9d7"),
]
COLUMNS = ("id", "firstName", "lastName", "email", "mobilePhone", "oktaId")
EVENTS = [
    ("user.lifecycle.create", "gus.210@example.com"),
    ("user.account.update_profile", "chi.206@example.com"),
    ("user.lifecycle.deactivate", "hal.204@example.com"),
    ("user.lifecycle.suspend", "bo.205@example.com"),
    ("group.user_membership.add", "flo.209@example.com"),
    ("user.lifecycle.activate", "flo.209@example.com"),
    ("user.lifecycle.create", "flo.209@example.com"),
    ("user.account.lock", "dee.207@example.com"),
    ("user.account.update_profile", "ana.203@example.com"),
]
GLIMPSE = Glimpse(
    status=STATUS,
    rows=[dict(zip(COLUMNS, row, strict=True)) for row in ROWS],
    org_users=209,
    org_calls=219,
    deliveries={"sent": 48, "acknowledged": 48, "refused": 0, "lost": 0, "pending": 0},
    events=EVENTS,
    url="http://127.0.0.1:8787",
    database=Path("users.db"),
)


def svg() -> str:
    """The picture; the same each time."""
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(view(GLIMPSE))
    drawn = console.export_svg(title="make demo", theme=SVG_EXPORT_THEME, code_format=FRAME, unique_id="demo")
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def main(arguments: list[str]) -> int:
    """Draw, or with --check tell whether the picture is fresh. Returns the exit status."""
    picture = svg()
    if "--check" not in arguments:
        PICTURE.write_text(picture, encoding="utf-8")
        return 0
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == picture:
        return 0
    sys.stderr.write(f"{PICTURE} is stale. Run: python docs/draw_demo.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
