"""Certificates that a provider publishes, against authorities made up here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from quittance.errors import Reject, Retry
from quittance.providers.certificates import CHAINS_MAX, Certificates, is_signed
from quittance.providers.published import PUBLICATIONS, Publications
from tools.paypal_authority import Key, issued

NAME, OTHER = "certificates.example.com", "certificates.sandbox.example.com"
NAMES = frozenset({NAME, OTHER})
URL = "https://api.example.com/certificates/1"
NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
DAY = timedelta(days=1)

ROOT_KEY, BETWEEN_KEY, STRANGER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
ROOT = issued("A root", ROOT_KEY, ROOT_KEY, is_authority=True)
STRANGER = issued("A root", STRANGER_KEY, STRANGER_KEY, is_authority=True)
BETWEEN = issued("In between", BETWEEN_KEY, ROOT_KEY, of=ROOT, is_authority=True)


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


class Shelf:
    """Certificates without a network, which remembers what it was asked."""

    def __init__(self, *chain: x509.Certificate, roots: tuple[x509.Certificate, ...] = (ROOT,), raw: bytes | None = None) -> None:
        self.raw = pem(*chain) if raw is None else raw
        self.trusted = pem(*roots)
        self.asked: list[str] = []
        self.is_down = False

    def chain(self, url: str) -> bytes:
        self.asked.append(url)
        if self.is_down:
            raise Retry("certificate_unreachable")
        return self.raw

    def roots(self) -> bytes:
        return self.trusted


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def leaf(
    name: str = NAME, key: Key | None = None, by: Key = ROOT_KEY, of: x509.Certificate = ROOT, **more: object
) -> x509.Certificate:
    return issued(name, key or rsa_key(), by, of=of, **more)  # type: ignore[arg-type]


def accepted(shelf: Shelf, now_s: int = NOW_S) -> bool:
    try:
        key = Certificates(shelf).rsa_key(URL, NAMES, now_s)
    except Reject as rejected:
        if rejected.code != "certificate_untrusted":
            raise
        return False
    assert key.public_numbers() == rsa_key().public_key().public_numbers()
    return True


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_certificate_under_a_trusted_root_is_believed(name: str) -> None:
    assert accepted(Shelf(leaf(name)))


def test_what_lies_between_it_and_its_root_must_come_with_it() -> None:
    own = leaf(by=BETWEEN_KEY, of=BETWEEN)
    assert accepted(Shelf(own, BETWEEN))
    assert accepted(Shelf(own, BETWEEN, ROOT))
    assert not accepted(Shelf(own))
    assert not accepted(Shelf(own, ROOT))


@pytest.mark.parametrize(
    "name",
    ["example.com", f"x.{NAME}", f"{NAME}.evil.test", f"not{NAME}", "*.example.com", "certificates.evil.test"],
)
def test_a_certificate_of_somebody_else_is_not_believed(name: str) -> None:
    assert not accepted(Shelf(leaf(name)))


def test_a_name_that_is_only_its_subject_is_not_enough() -> None:
    key = rsa_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    bare = x509.CertificateBuilder().subject_name(subject).issuer_name(ROOT.subject).public_key(key.public_key())
    dated = bare.serial_number(7).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    assert not accepted(Shelf(dated.sign(ROOT_KEY, hashes.SHA256())))


def test_a_certificate_of_an_unknown_authority_is_not_believed() -> None:
    assert not accepted(Shelf(leaf(by=STRANGER_KEY, of=STRANGER)))
    assert not accepted(Shelf(leaf(by=STRANGER_KEY, of=STRANGER), STRANGER))


def test_a_certificate_that_signed_itself_is_not_believed() -> None:
    assert not accepted(Shelf(issued(NAME, rsa_key(), rsa_key())))


def test_who_is_no_authority_cannot_issue_one() -> None:
    above = rsa.generate_private_key(65537, 2048)
    not_an_authority = leaf(key=above)
    assert not accepted(Shelf(leaf(by=above, of=not_an_authority), not_an_authority))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (NOW - DAY, NOW + DAY, True),
        (NOW - 2 * DAY, NOW - timedelta(seconds=1), False),
        (NOW + timedelta(seconds=1), NOW + DAY, False),
    ],
    ids=["now", "past", "future"],
)
def test_a_certificate_is_believed_only_while_it_is_valid(first: datetime, last: datetime, expected: bool) -> None:
    assert accepted(Shelf(leaf(valid=(first, last)))) is expected


def test_an_authority_is_believed_only_while_it_is_valid() -> None:
    over = issued("In between", BETWEEN_KEY, ROOT_KEY, of=ROOT, is_authority=True, valid=(NOW - 9 * DAY, NOW - DAY))
    assert not accepted(Shelf(leaf(by=BETWEEN_KEY, of=over), over))


def test_a_key_of_another_kind_or_too_short_is_not_believed() -> None:
    assert not accepted(Shelf(leaf(key=ec.generate_private_key(ec.SECP256R1()))))
    assert not accepted(Shelf(leaf(key=rsa_key(1024))))


@pytest.mark.parametrize(
    "raw",
    [b"", b"<html>", b"\x00\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", pem(ROOT)[:-40]],
    ids=["nothing", "a page", "bytes", "no certificate", "half of one"],
)
def test_what_is_no_certificate_is_not_believed(raw: bytes) -> None:
    assert not accepted(Shelf(raw=raw))


def test_roots_that_cannot_be_read_are_left_out() -> None:
    shelf = Shelf(leaf())
    shelf.trusted = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + pem(STRANGER, ROOT) + b"the end"
    assert accepted(shelf)


# --- what is remembered


def test_a_certificate_is_read_once() -> None:
    shelf = Shelf(leaf())
    certificates = Certificates(shelf)
    for _ in range(3):
        certificates.rsa_key(URL, NAMES, NOW_S)
    assert shelf.asked == [URL]


def test_what_is_remembered_ends_all_the_same() -> None:
    certificates = Certificates(Shelf(leaf(valid=(NOW - DAY, NOW + DAY))))
    certificates.rsa_key(URL, NAMES, NOW_S)
    with pytest.raises(Reject, match="certificate_untrusted"):
        certificates.rsa_key(URL, NAMES, NOW_S + 2 * 86_400)


def test_what_is_remembered_is_still_asked_for_its_name() -> None:
    certificates = Certificates(Shelf(leaf()))
    certificates.rsa_key(URL, NAMES, NOW_S)
    with pytest.raises(Reject, match="certificate_untrusted"):
        certificates.rsa_key(URL, frozenset({OTHER}), NOW_S)


@pytest.mark.parametrize("raw", [b"<html>try later</html>", pem(leaf("evil.test"))], ids=["a page", "another's"])
def test_what_is_not_believed_is_read_again(raw: bytes) -> None:
    shelf = Shelf(raw=raw)
    certificates = Certificates(shelf)
    with pytest.raises(Reject, match="certificate_untrusted"):
        certificates.rsa_key(URL, NAMES, NOW_S)
    shelf.raw = pem(leaf())
    certificates.rsa_key(URL, NAMES, NOW_S)
    assert shelf.asked == [URL, URL]


def test_what_is_out_of_reach_is_a_reason_to_try_again_and_what_is_remembered_serves_on() -> None:
    shelf = Shelf(leaf())
    certificates = Certificates(shelf)
    certificates.rsa_key(URL, NAMES, NOW_S)
    shelf.is_down = True
    certificates.rsa_key(URL, NAMES, NOW_S)
    with pytest.raises(Retry, match="certificate_unreachable"):
        certificates.rsa_key(f"{URL}/next", NAMES, NOW_S)


def test_only_so_many_are_remembered() -> None:
    shelf = Shelf(leaf())
    certificates = Certificates(shelf)
    for place in range(CHAINS_MAX + 1):
        certificates.rsa_key(f"{URL}/{place}", NAMES, NOW_S)
    shelf.asked.clear()
    certificates.rsa_key(f"{URL}/{CHAINS_MAX}", NAMES, NOW_S)
    assert shelf.asked == []
    certificates.rsa_key(f"{URL}/0", NAMES, NOW_S)
    assert shelf.asked == [f"{URL}/0"]
    assert len(certificates._chains) == CHAINS_MAX


def test_without_a_way_to_certificates_the_sender_is_asked_to_come_again() -> None:
    assert type(PUBLICATIONS) is Publications
    for read in (Publications().source.roots, lambda: Publications().source.chain(URL)):
        with pytest.raises(Retry, match="certificates_unavailable"):
            read()


# --- signatures


def test_only_this_scheme_is_a_signature() -> None:
    key, content = rsa_key(), b"content"
    own = key.public_key()
    assert is_signed(content, key.sign(content, padding.PKCS1v15(), hashes.SHA256()), own)
    assert not is_signed(b"other", key.sign(content, padding.PKCS1v15(), hashes.SHA256()), own)
    assert not is_signed(content, key.sign(content, padding.PKCS1v15(), hashes.SHA1()), own)  # noqa: S303 - what is refused
    assert not is_signed(content, key.sign(content, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()), own)
    assert not is_signed(content, b"", own)
    assert not is_signed(content, b"\x00" * 256, own)
