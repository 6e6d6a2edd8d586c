"""HTTPS for the simulator: a certificate authority that is made at each start and trusted by nobody before."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.x509.oid import NameOID

from rosterhook.simulator.files import PUBLIC, replace_file
from rosterhook.simulator.problems import SimulatorError
from rosterhook.simulator.settings import Settings

#: How a CA certificate of ours is known again, so that no other file is ever written over.
ORGANIZATION = "rosterhook simulator"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Authority:
    """A certificate authority; its private key never leaves memory."""

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name=ORGANIZATION)

    @property
    def certificate(self) -> str:
        """The CA's certificate, as PEM."""
        return self._ca.cert_pem.bytes().decode("ascii")

    def server_context(self, names: list[str]) -> ssl.SSLContext:
        """For a server that is called by these host names and addresses. Raises SimulatorError for what is none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module reads keys from files alone: this one is private, and gone when the call returns.
        self._issue(*names).configure_cert(context)
        return context

    def issue(self, host: str, folder: Path) -> tuple[Path, Path]:
        """Write `HOST.pem` and `HOST.key` for another server, such as a proxy before a hook's receiver.

        Raises:
            SimulatorError: the folder cannot be used, or there is no such host.
        """
        certificate = self._issue(host)
        chain, key = folder / f"{host}.pem", folder / f"{host}.key"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(chain, (blob.bytes().decode() for blob in certificate.cert_chain_pems), PUBLIC)
            replace_file(key, [certificate.private_key_pem.bytes().decode()])
        except OSError as error:
            raise SimulatorError(f"cannot write {chain} and {key.name}: {error.strerror}") from None
        return chain, key

    def _issue(self, *names: str) -> trustme.LeafCert:
        if wrong := [name for name in names if not name or set(name) & set("/@ ")]:
            raise SimulatorError(f"{wrong[0]!r} is neither a host name nor an address")
        try:
            return self._ca.issue_cert(*names, organization_name=ORGANIZATION)
        except ValueError as error:
            raise SimulatorError(f"no certificate can be made for {', '.join(names)}: {error}") from None


def names_of(settings: Settings) -> list[str]:
    """Every name under which the simulator may be called."""
    return sorted({*LOOPBACK, settings.host, *settings.tls_names})


@contextlib.contextmanager
def published(authority: Authority, path: Path | None) -> Iterator[Path]:
    """The file with the CA's certificate, for callers to trust; without a path, one that goes away afterwards.

    Raises:
        SimulatorError: the file cannot be written, or is something else.
    """
    with contextlib.ExitStack() as stack:
        if path is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rosterhook-simulator-"))
            path = Path(folder) / "ca.pem"
        try:
            if path.exists() and not _is_ours(path):
                raise SimulatorError(
                    f"{path} is not a CA certificate of a simulator: name another --ca-file, or remove it"
                )
            replace_file(path, [authority.certificate], PUBLIC)
        except OSError as error:
            raise SimulatorError(f"cannot write the CA certificate to {path}: {error.strerror}") from None
        yield path


def _is_ours(path: Path) -> bool:
    try:
        [certificate] = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        return False
    names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [name.value for name in names] == [ORGANIZATION]
