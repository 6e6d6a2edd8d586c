"""The TLS proxies of docs/quickstart.md, run for real: their configuration is read out of the page."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
from harness import free_port, wait_until

from servers import service_or_skip

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"
HOST = "hooks.example.com"


def block(language: str) -> str:
    """The one fenced block of this language in the quickstart."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


@contextlib.contextmanager
def nginx(folder: Path, upstream: int, certificate: Path, key: Path) -> Iterator[int]:
    """nginx as the page sets it up, before a service at port `upstream`; its port."""
    service_or_skip("nginx", "nginx")
    port = free_port()
    site = _put(block("nginx"), {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f"/etc/letsencrypt/live/{HOST}/fullchain.pem": str(certificate),
        f"/etc/letsencrypt/live/{HOST}/privkey.pem": str(key),
        HOST: "localhost",
        "127.0.0.1:8787": f"127.0.0.1:{upstream}",
    })  # fmt: skip
    places = "".join(
        f"{each}_temp_path {folder / each};\n" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nmaster_process off;\npid {folder / 'nginx.pid'};\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}{site}}}\n"
    )
    with _running(["nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)], port, folder / "nginx.log"):
        yield port


@contextlib.contextmanager
def caddy(folder: Path, upstream: int, certificate: Path, key: Path) -> Iterator[int]:
    """Caddy as the page sets it up, but with a certificate of ours: no authority is asked. Its port."""
    service_or_skip("Caddy", "caddy")
    port = free_port()
    site = _put(block("caddyfile"), {
        f"{HOST} {{": f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}",
        "127.0.0.1:8787": f"127.0.0.1:{upstream}",
    })  # fmt: skip
    config = folder / "Caddyfile"
    config.write_text(f"{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {folder / 'caddy'}\n}}\n{site}")
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]
    with _running(command, port, folder / "caddy.log"):
        yield port


def _put(text: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            wait_until(lambda: _answers(port) or process.poll() is not None, 30, log.read_text)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(20)


def _answers(port: int) -> bool:
    try:
        httpx2.get(f"https://localhost:{port}/", verify=False, trust_env=False, timeout=2)
    except httpx2.HTTPError:
        return False
    return True
