"""Makes a self-signed certificate for a home network, because phone browsers allow the camera only with HTTPS."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from idseg.errors import DependencyError
from idseg.server.auth.files import locked, write_private

_LIFE: Final = timedelta(days=90)
_LEAST_LEFT: Final = timedelta(days=1)


def self_signed(folder: Path, address: str) -> tuple[Path, Path, str]:
    """Make a certificate for ``address`` and localhost, kept in ``folder`` so that a phone has to trust it only once.

    Returns:
        the files of the certificate and of its key (mode 0600), and the SHA-256 fingerprint.

    Raises:
        DependencyError: cryptography is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
    except ImportError:
        raise DependencyError("--https needs cryptography; install it with: pip install 'idseg[https]'") from None
    certificate, key = folder / "lan.crt", folder / "lan.key"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(certificate):
        if not _fits(certificate, key, address):
            _make(certificate, key, address)
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return certificate, key, digest.hex(":").upper()


def _fits(certificate: Path, key: Path, address: str) -> bool:
    from cryptography import x509

    if not (certificate.is_file() and key.is_file()):
        return False
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    known = {str(one) for one in names.get_values_for_type(x509.IPAddress)}
    return address in known and found.not_valid_after_utc > datetime.now(timezone.utc) + _LEAST_LEFT


def _make(certificate: Path, key: Path, address: str) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pair = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idseg")])
    now = datetime.now(timezone.utc)
    names = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(ipaddress.ip_address(one)) for one in dict.fromkeys((address, "127.0.0.1"))),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(pair.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(pair, hashes.SHA256())
    )
    private = pair.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(key, private)
    write_private(certificate, made.public_bytes(serialization.Encoding.PEM))
