"""The closed set of failures, sorted by what to do next.

Every failure that crosses a module boundary is one of these four. A `code` is a short, stable,
machine-readable name; a message never holds personal data, secrets or payloads, so it may be logged.
"""

from __future__ import annotations


class QuittanceError(Exception):
    """Base of the four outcomes; never raised itself."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code


class Reject(QuittanceError):
    """The input is wrong and will stay wrong: answer the sender, never retry."""


class Retry(QuittanceError):
    """Nothing happened, or what happened is safely repeatable: try again after `delay_s` seconds.

    `delay_s` is None when the retry schedule should decide.
    """

    def __init__(self, code: str, message: str = "", *, delay_s: int | None = None) -> None:
        super().__init__(code, message)
        self.delay_s = delay_s


class Park(QuittanceError):
    """No repetition can help: keep everything and show it to a human."""


class InDoubt(QuittanceError):
    """A request may or may not have taken effect: look the outcome up before doing it again.

    `delay_s` is None when the retry schedule should decide.
    """

    def __init__(self, code: str, message: str = "", *, delay_s: int | None = None) -> None:
        super().__init__(code, message)
        self.delay_s = delay_s
