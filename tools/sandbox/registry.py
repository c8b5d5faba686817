"""The register of EU tax numbers as the API sees it: a number of the right form is registered unless it is told otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from stdnum.eu import vat

from tools.sandbox.wire import Problem, Record


class Registry:
    """Answers whether a tax number, with its country prefix, is registered.

    The form and the checksum decide, and `known` before them: it lists numbers that count as registered or not regardless.
    """

    def __init__(self, known: Mapping[str, bool]) -> None:
        self._known = {plain(number): valid for number, valid in known.items()}

    def tell(self, body: object) -> None:
        """Adds `{number: registered}` to what is known. Raises `Problem` 422 for anything else."""
        if not isinstance(body, dict) or not all(isinstance(valid, bool) for valid in body.values()):
            raise Problem(422, "Give an object of tax numbers, each true or false")
        self._known |= {plain(number): valid for number, valid in body.items()}

    def has(self, number: str) -> bool:
        """Whether the number is registered."""
        number = plain(number)
        return self._known[number] if number in self._known else vat.is_valid(number)

    def to_json(self) -> Record:
        """What is known regardless of the form."""
        return dict(self._known)


def plain(number: str) -> str:
    """The number as registers keep it: letters and digits only, in upper case."""
    return "".join(letter for letter in number if letter.isalnum()).upper()
