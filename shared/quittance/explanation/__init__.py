"""Why a payment has the documents it has, and what became of a payout.

Its facts, what each of them called for and by which rule, what was asked of the invoicing API and what came of it, what counts
no more, and what is still missing. The reasons are those of the ledger and of `plan`; nothing is concluded here that the product
does not conclude itself. Pure: whoever asks reads the ledger.
"""

from quittance.explanation.amounts import amount, in_print, total_in_print
from quittance.explanation.customer import explain_customer
from quittance.explanation.findings import acknowledged_in_words, acknowledgement
from quittance.explanation.payment import NOT_REGISTERED, explain_case, waiting, why_none
from quittance.explanation.text import as_text

__all__ = [
    "NOT_REGISTERED",
    "acknowledged_in_words",
    "acknowledgement",
    "amount",
    "as_text",
    "explain_case",
    "explain_customer",
    "in_print",
    "total_in_print",
    "waiting",
    "why_none",
]
