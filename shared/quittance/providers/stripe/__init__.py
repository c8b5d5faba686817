"""Stripe: deliveries are read in `events`, what they only name or leave out is fetched in `objects`."""

from quittance.providers.stripe.events import EVENT_TYPES, PROVIDER, TOLERANCE_S, acknowledge, translate, verify
from quittance.providers.stripe.objects import API_BASE_URL, account_headers, api_headers, fetch

__all__ = [
    "API_BASE_URL",
    "EVENT_TYPES",
    "PROVIDER",
    "TOLERANCE_S",
    "account_headers",
    "acknowledge",
    "api_headers",
    "fetch",
    "translate",
    "verify",
]
