"""The form of tax numbers: whether one could be a number of its country at all. Only a registry knows whether it exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Form(Protocol):
    """A module of the library that knows the form of one kind of number."""

    def validate(self, number: str) -> str:
        """The number without its separators. Raises a `ValidationError` of the library."""


WRONG_LENGTH = "wrong_length"
WRONG_FORM = "wrong_form"

OTHER_FORMS: dict[str, tuple[str, ...]] = {
    "AT": ("tin",),
    "CH": ("uid",),
    "DE": ("stnr", "idnr"),
    "FR": ("siren", "siret"),
    "GB": ("utr",),
    "IT": ("codicefiscale",),
    "NO": ("orgnr",),
    "SE": ("orgnr",),
}
"""Country -> numbers of another form than its VAT number that businesses there state as their tax number."""


def tax_number_fault(country: str, number: str) -> str:
    """Why this cannot be a tax number of a business in `country` (ISO 3166-1), or an empty string.

    A VAT number counts with and without its prefix, under the prefix of any EU state (Greece's is EL, Northern Ireland's XI).
    A wrong check digit is no fault of form, and neither is anything in a country whose numbers the library does not know.
    """
    first = ""
    for form in _forms(country.upper(), number):
        fault = _fault_of(form, number)
        if not fault:
            return ""
        first = first or fault
    return first


def _forms(country: str, number: str) -> Iterator[Form]:
    """What the number may be, the most likely first; nothing where the library knows no VAT number."""
    # Loading takes longer than anything a cold start needs otherwise, and most runs check no number.
    from stdnum.eu import vat  # noqa: PLC0415
    from stdnum.util import get_cc_module  # noqa: PLC0415

    for name in ("vat", *OTHER_FORMS.get(country, ())):
        form = get_cc_module(country, name)
        if form is None:
            return
        yield form
    if number.strip()[:2].lower() in {*vat.MEMBER_STATES, "el"}:
        yield vat


def _fault_of(form: Form, number: str) -> str:
    from stdnum.exceptions import InvalidFormat, InvalidLength, ValidationError  # noqa: PLC0415

    try:
        form.validate(number)
    except InvalidLength:
        return WRONG_LENGTH
    except InvalidFormat:
        return WRONG_FORM
    except ValidationError:
        return ""
    return ""
