"""Certificates that providers publish: whose they are, whether they may be trusted, and what their keys have signed.

Importing this costs as much as all else that `ingest` imports, so a provider does so when it has a signature to check.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from quittance.errors import Reject
from quittance.providers import CERTIFICATE_UNTRUSTED

if TYPE_CHECKING:
    from quittance.providers.published import Published

CHAINS_MAX = 16
"""How many certificates are remembered. A provider uses one at a time, and has the next one at another address."""
RSA_BITS_MIN = 2048

_END = b"-----END CERTIFICATE-----"
_UNREADABLE = (
    *(ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.ExtensionNotFound),
    *(x509.InvalidVersion, x509.UnsupportedGeneralNameType),
)


class Certificates:
    """Certificates by their address. They are read once, and checked at every use: each ends some day."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._store: Store | None = None
        self._chains: dict[str, list[x509.Certificate]] = {}

    def rsa_key(self, url: str, names: frozenset[str], now_s: int) -> RSAPublicKey:
        """The key of the certificate at `url`, if it is for one of `names`, valid now, and issued under a trusted root.

        Raises `Reject` with `certificate_untrusted` if not, and `Retry` when it cannot be read.
        """
        chain = self._chains.get(url) or _chain(self._published.chain(url))
        key = self._trusted_key(chain, names, now_s)
        self._keep(url, chain)
        return key

    def _trusted_key(self, chain: list[x509.Certificate], names: frozenset[str], now_s: int) -> RSAPublicKey:
        own, *between = chain
        policy = PolicyBuilder().store(self._roots()).time(datetime.fromtimestamp(now_s, UTC))
        try:
            given = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
            name = next((name for name in given if name in names), None)
            if name is None:
                raise Reject(CERTIFICATE_UNTRUSTED, "of somebody else")
            policy.build_server_verifier(x509.DNSName(name)).verify(own, between)
            key = own.public_key()
        except (VerificationError, *_UNREADABLE):
            raise Reject(CERTIFICATE_UNTRUSTED, "not valid now, or not under a trusted root") from None
        # The verifier looks at the keys of those above it only.
        if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS_MIN:
            raise Reject(CERTIFICATE_UNTRUSTED, "not of an RSA key, or of a short one")
        return key

    def _keep(self, url: str, chain: list[x509.Certificate]) -> None:
        """Only what is trusted is kept, so that an error page in its place does not stay."""
        if url not in self._chains and len(self._chains) >= CHAINS_MAX:
            del self._chains[next(iter(self._chains))]
        self._chains[url] = chain

    def _roots(self) -> Store:
        if self._store is None:
            self._store = Store([*_readable(self._published.roots())])
        return self._store


@lru_cache(maxsize=1)
def certificates_of(published: Published) -> Certificates:
    """What this process knows of the certificates of one source."""
    return Certificates(published)


def is_signed(content: bytes, signature: bytes, key: RSAPublicKey) -> bool:
    """Whether this is a signature over `content`: SHA-256, and RSA with the padding of PKCS #1 v1.5."""
    try:
        key.verify(signature, content, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _chain(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except _UNREADABLE:
        raise Reject(CERTIFICATE_UNTRUSTED, "unreadable") from None


def _readable(pem: bytes) -> list[x509.Certificate]:
    """Roots one by one: of those that browsers trust some are older than the rules that are kept to today."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for block in pem.split(_END)[:-1]:
            try:
                found.append(x509.load_pem_x509_certificate(block + _END))
            except _UNREADABLE:
                continue
    return found
