"""Under which conditions something was measured: without them, no figure can be judged."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apsw

from bench.disk import fsync_ms

#: What decides how fast things are.
PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "msgspec", "httpx2", "sqlalchemy", "asyncpg", "aiosqlite")
PROGRAMS = {"node": ("node", "--version"), "wrk": ("wrk", "-v")}
PROGRAM_SECONDS = 10


def conditions(folder: Path) -> dict[str, Any]:
    """Machine and versions, as JSON can hold them.

    Args:
        folder: on the disk that the benchmark writes to.
    """
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "load_before": round(os.getloadavg()[0], 2),
        "fsync_ms": round(fsync_ms(folder), 3),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "programs": {name: found for name, command in PROGRAMS.items() if (found := _said(command))},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found.group(1) if found else platform.machine()


def _said(command: tuple[str, ...]) -> str:
    """The first version that a program names; "" when there is no such program."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_SECONDS, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found.group(0) if found else ""
