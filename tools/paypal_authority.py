"""A certificate authority of this machine alone, and under it the certificate with which samples are signed in PayPal's name.

Only what was told to read certificates from a stand-in believes it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "messageverificationcerts.sandbox.paypal.com"
PATH = "/v1/notifications/certs/CERT-quittance-local"
URL = f"https://api.sandbox.paypal.com{PATH}"
"""Where PayPal would have the certificate. Nobody reads it there."""

_FILE = Path(__file__).parents[1] / "build" / "paypal-authority.pem"
_FROM, _TO = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_PEM_END = b"-----END CERTIFICATE-----\n"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    """Both certificates and the key of the lower one. Implements `providers.published.Published`, without a network."""

    root: bytes
    certificate: bytes
    key: rsa.RSAPrivateKey = field(repr=False)

    def chain(self, url: str) -> bytes:  # noqa: ARG002 - there is one only
        return self.certificate

    def roots(self) -> bytes:
        return self.root

    def signature(self, content: bytes) -> bytes:
        return self.key.sign(content, padding.PKCS1v15(), hashes.SHA256())


@cache
def authority(file: Path = _FILE) -> Authority:
    """The authority of this machine: made once, and kept in `file`, so that who signs and who verifies have the same."""
    if not file.exists():
        _keep(file)
    pem = file.read_bytes()
    certificate, root, key = (part.lstrip() for part in pem.replace(_PEM_END, _PEM_END + b"\0").split(b"\0"))
    private = load_pem_private_key(key, None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError(f"{file} does not hold an RSA key")
    return Authority(root=root, certificate=certificate, key=private)


def _keep(file: Path) -> None:
    """Whoever comes first is kept, whole: several processes may start at once."""
    above = ec.generate_private_key(ec.SECP256R1())
    own = rsa.generate_private_key(65537, 2048)
    root = issued("Quittance throwaway authority", above, above, is_authority=True)
    certificate = issued(NAME, own, above, of=root)
    key = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_bytes(certificate.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM) + key)
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def issued(  # noqa: PLR0913 - all but the first three are options
    name: str,
    key: Key,
    signing_key: Key,
    *,
    of: x509.Certificate | None = None,
    is_authority: bool = False,
    valid: tuple[datetime, datetime] = (_FROM, _TO),
) -> x509.Certificate:
    """A certificate for `name` and `key`, signed by the authority `of`, or by itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = dict.fromkeys(_KEY_USAGES, False)
    usage |= {"key_cert_sign": True, "crl_sign": True} if is_authority else {"digital_signature": True}
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key())
    draft = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(of.subject if of else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signer, critical=False)
    )
    if not is_authority:
        draft = draft.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        draft = draft.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return draft.sign(signing_key, hashes.SHA256())


_KEY_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
