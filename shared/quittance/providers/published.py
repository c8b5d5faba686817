"""Where the certificates that providers publish are read from: set by who composes a function, because it takes a network."""

from __future__ import annotations

from typing import Protocol

from quittance.errors import Retry


class Published(Protocol):
    """A way to certificates."""

    def chain(self, url: str) -> bytes:
        """The certificate at this address and those between it and its root, as PEM.

        Raises `Retry` when it may be had later, `Reject` with `certificate_untrusted` when there is none.
        """

    def roots(self) -> bytes:
        """The certificates that are trusted without question, as PEM. Raises `Retry` as `chain` does."""

    def __hash__(self) -> int:
        """What is known of its certificates is known of it alone."""


class _Nowhere:
    def chain(self, url: str) -> bytes:  # noqa: ARG002 - whatever it is
        raise Retry("certificates_unavailable")

    def roots(self) -> bytes:
        raise Retry("certificates_unavailable")


class Publications:
    """The one way to certificates of this process."""

    def __init__(self) -> None:
        self.source: Published = _Nowhere()


PUBLICATIONS = Publications()
