"""The simulated org over https: its certificate authority, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from rosterhook.simulator import Settings, running
from rosterhook.simulator.problems import SimulatorError
from rosterhook.simulator.tls import Authority

PROGRAM = (sys.executable, "-m", "rosterhook.simulator")


@contextlib.asynccontextmanager
async def program(*options: str, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str]]]:
    """The simulator as a process with a temporary folder of its own, and the lines it has said at the start."""
    started = await asyncio.create_subprocess_exec(
        *PROGRAM, *options, stdout=asyncio.subprocess.PIPE, env={**os.environ, "TMPDIR": str(folder)}
    )
    try:
        assert started.stdout
        said = await asyncio.wait_for(started.stdout.read(10_000), 20)
        yield started, said.decode().splitlines()
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.communicate()


def trusting(ca_file: Path | str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


async def answers(url: str, ca_file: Path | str) -> int:
    async with httpx2.AsyncClient(verify=trusting(ca_file), trust_env=False) as client:
        return (await client.get(f"{url}/_sim/")).status_code


async def test_the_program_says_whom_to_trust(tmp_path):
    """With --tls both lines come at once, the certificate is for every name of this machine, and goes at the end."""
    async with program("--tls", folder=tmp_path) as (started, [first, second]):
        port = re.fullmatch(r"simulator listening on https://127\.0\.0\.1:(\d+)", first)[1]
        ca_file = Path(second.removeprefix("CA certificate: "))
        for host in ("127.0.0.1", "localhost"):
            assert await answers(f"https://{host}:{port}", ca_file) == 200
        started.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.wait(), 20) == 0
    assert list(tmp_path.iterdir()) == []


async def test_no_private_key_stays_on_disk(tmp_path, monkeypatch):
    """While the org is served, its temporary folder holds one file: the certificate, which everybody may read."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with running(Settings(tls=True)) as simulator:
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [simulator.ca_file]
        assert simulator.ca_file.read_text() == simulator.authority.certificate
        assert stat.S_IMODE(simulator.ca_file.stat().st_mode) == 0o644
        assert "PRIVATE" not in simulator.ca_file.read_text()


async def test_the_api_is_https_throughout():
    """Links in answers are https too, and nobody who doesn't trust the authority gets one."""
    async with running(Settings(tls=True, users=2)) as simulator:
        headers = {"Authorization": f"SSWS {simulator.settings.token}"}
        async with httpx2.AsyncClient(verify=trusting(simulator.ca_file), trust_env=False, headers=headers) as client:
            answer = await client.get(f"{simulator.url}/api/v1/users?limit=1")
            assert answer.links["next"]["url"].startswith(f"{simulator.url}/api/v1/users")
            assert simulator.url.startswith("https://127.0.0.1:")
        async with httpx2.AsyncClient(trust_env=False) as stranger:
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(simulator.url)


@pytest.mark.parametrize(("name", "good"), [("okta.test", True), ("other.test", False)])
async def test_the_certificate_is_for_the_named_hosts_alone(name, good):
    """A name from the settings is in the certificate, another is not."""
    async with running(Settings(tls=True, tls_names=["okta.test"])) as simulator:
        port = int(simulator.url.rpartition(":")[2])
        connecting = asyncio.open_connection("127.0.0.1", port, ssl=trusting(simulator.ca_file), server_hostname=name)
        if good:
            _, writer = await connecting
            writer.close()
            await writer.wait_closed()
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                await connecting


async def test_a_certificate_file_is_renewed(tmp_path):
    """A named CA file stays after the end, and the next start puts its own authority there."""
    ca_file = tmp_path / "ca.pem"
    certificates = []
    for _ in range(2):
        async with running(Settings(tls=True, ca_file=ca_file)) as simulator:
            assert await answers(simulator.url, ca_file) == 200
        certificates.append(ca_file.read_text())
    assert certificates[0] != certificates[1]
    assert [path.name for path in tmp_path.iterdir()] == ["ca.pem"]


@pytest.mark.parametrize("text", ["precious", "", pytest.param(None, id="another CA"), pytest.param(2, id="a bundle")])
async def test_nobody_elses_file_is_written_over(tmp_path, text):
    """A CA file that no simulator has written is refused and stays as it is."""
    ca_file = tmp_path / "id_rsa"
    if text is None:
        import trustme

        text = trustme.CA().cert_pem.bytes().decode()
    elif text == 2:
        text = Authority().certificate + Authority().certificate
    ca_file.write_text(text)
    with pytest.raises(SimulatorError, match="not a CA certificate of a simulator"):
        async with running(Settings(tls=True, ca_file=ca_file)):
            pass
    assert ca_file.read_text() == text


async def test_another_server_gets_a_certificate(tmp_path):
    """A certificate issued to another server is trusted like the simulator's own; its key is for its owner alone."""
    folder = tmp_path / "proxy"
    async with program("--tls", "--issue-cert", "localhost", str(folder), folder=tmp_path) as (_, said):
        assert said[-1] == f"certificate and key: {folder}/localhost.pem, {folder}/localhost.key"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "localhost.pem", folder / "localhost.key")
        ca_file = said[1].removeprefix("CA certificate: ")
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port, ssl=trusting(ca_file))
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {".pem": 0o644, ".key": 0o600}


async def test_hooks_may_be_behind_its_own_certificates(tmp_path):
    """An https hook whose certificate the simulator issued is verified without a word about whom to trust."""

    async def prove(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        challenge = re.search(r"(?i)x-okta-verification-challenge: (\S+)", head)[1]
        body = f'{{"verification": "{challenge}"}}'
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with running(Settings(tls=True)) as simulator:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*simulator.authority.issue("localhost", tmp_path))
        async with (
            await asyncio.start_server(prove, "127.0.0.1", 0, ssl=context) as server,
            httpx2.AsyncClient(verify=trusting(simulator.ca_file), trust_env=False, base_url=simulator.url) as client,
        ):
            url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
            answer = await client.post("/_sim/hook", json={"url": url})
    assert answer.json()["verificationStatus"] == "VERIFIED", answer.text


async def test_an_org_on_all_addresses_answers_as_it_is_called():
    """Listening everywhere, links name the address by which the caller came, which others can reach."""
    async with running(Settings(host="0.0.0.0", allow_remote=True, users=2)) as simulator:
        port = simulator.address.rpartition(":")[2]
        headers = {"Authorization": f"SSWS {simulator.settings.token}"}
        async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
            answer = await client.get(f"http://localhost:{port}/api/v1/users?limit=1")
    assert answer.links["next"]["url"].startswith(f"http://localhost:{port}/api/v1/users")


@pytest.mark.parametrize(("options", "hint"), [((), ""), (("--tls",), "; name each by --tls-name for its certificate")])
async def test_an_org_on_all_addresses_prints_one_that_can_be_called(tmp_path, options, hint):
    """Its first line has an address of this machine; another line says how others call it."""
    async with program("--host", "0.0.0.0", "--allow-remote", *options, folder=tmp_path) as (_, said):
        url = re.fullmatch(r"simulator listening on (https?://127\.0\.0\.1:\d+)", said[0])[1]
        assert said[-1] == f"others call it by any name or address of this machine{hint}"
        async with httpx2.AsyncClient(verify=False, trust_env=False) as client:
            assert (await client.get(f"{url}/_sim/")).status_code == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6_has_brackets():
    """On ::1 the address can be used as it is printed."""
    async with running(Settings(host="::1", tls=True)) as simulator:
        assert simulator.url.startswith("https://[::1]:")
        assert await answers(simulator.url, simulator.ca_file) == 200


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--port", "TAKEN"], "cannot listen on 127.0.0.1:TAKEN: Address already in use. Name another"),
        (["--port", "70000"], "--port 70000 does not exist: ports go from 0 to 65535"),
        (["--host", "nowhere.invalid", "--allow-remote"], "cannot listen on nowhere.invalid:0: "),
        (["--host", "0.0.0.0", "--tls"], "--host '0.0.0.0' is refused: use a loopback address, or --allow-remote"),
        (["--ca-file", "FOLDER/ca.pem"], "--ca-file and --tls-name are for https: they need --tls"),
        (
            ["--tls", "--ca-file", "FOLDER/none/ca.pem"],
            "cannot write the CA certificate to FOLDER/none/ca.pem: No such",
        ),
        (["--tls", "--ca-file", "FOLDER"], "cannot write the CA certificate to FOLDER: Is a directory"),
        (["--tls", "--tls-name", "a/b"], "'a/b' is neither a host name nor an address"),
        (["--tls", "--tls-name", "no_dns"], "no certificate can be made for 127.0.0.1, ::1, localhost, no_dns: "),
        (["--tls", "--issue-cert", "../up", "FOLDER"], "'../up' is neither a host name nor an address"),
        (["--tls", "--issue-cert", "a.test", "FILE"], "cannot write FILE/a.test.pem and a.test.key: File exists"),
        (["--state", "FOLDER/none/state.json"], "cannot use FOLDER/none/state.json: No such file or directory"),
        (["--state", "FOLDER"], "cannot use FOLDER: Is a directory"),
        (["--state", "FILE"], "cannot use FILE: it is not JSON. It is left as it is"),
    ],
)
def test_a_start_that_cannot_be_is_one_sentence(tmp_path, options, told):
    """What cannot be used is named in one line, the exit code is 2, and no file is made."""
    file = tmp_path / "file"
    file.write_text("precious")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = {"TAKEN": str(taken.getsockname()[1]), "FOLDER": str(tmp_path), "FILE": str(file)}
        for word, meaning in words.items():
            options, told = [each.replace(word, meaning) for each in options], told.replace(word, meaning)
        run = subprocess.run([*PROGRAM, *options], capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert run.stderr.startswith("python -m rosterhook.simulator: ")
    assert told in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "precious"
