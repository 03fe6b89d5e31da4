"""
A certificate authority for the tests, and certificates that are right or wrong in one way each.

`Authority().server("valid")` is a context for a server; `client()` trusts the authority and nothing else.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["valid", "expired", "not yet valid", "wrong host", "self-signed", "unknown authority"]

_HOSTS = ("localhost", "127.0.0.1", "127.0.0.2", "::1", "files.test", "other.test")


class Authority:
    """One certificate authority; its key lives as long as the object."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="Servers for tests")

    def server(self, kind: Kind = "valid") -> ssl.SSLContext:
        """Return a context for a server whose certificate is of this kind."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf(kind).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """Return a context for a client that trusts this authority only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context

    def certificate_file(self, folder: Path) -> Path:
        """Write the certificate of the authority, for `SSL_CERT_FILE` and the like, and return its path."""
        path = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(path)
        return path

    def server_files(self, folder: Path, kind: Kind = "valid") -> tuple[Path, Path]:
        """Write a server's certificate chain and key and return their paths."""
        leaf = self._leaf(kind)
        chain, key = folder / "server-chain.pem", folder / "server-key.pem"
        chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return chain, key

    def _leaf(self, kind: Kind) -> trustme.LeafCert:
        match kind:
            case "expired":
                return self._authority.issue_cert(*_HOSTS, not_after=datetime(2001, 1, 1, tzinfo=UTC))
            case "not yet valid":
                return self._authority.issue_cert(*_HOSTS, not_before=datetime(2090, 1, 1, tzinfo=UTC))
            case "wrong host":
                return self._authority.issue_cert("elsewhere.test")
            case "unknown authority":
                return trustme.CA().issue_cert(*_HOSTS)
            case "self-signed":
                return _self_signed()
            case "valid":
                return self._authority.issue_cert(*_HOSTS)


def _self_signed() -> trustme.LeafCert:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "files.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in _HOSTS]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return trustme.LeafCert(private, certificate.public_bytes(serialization.Encoding.PEM), [])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
