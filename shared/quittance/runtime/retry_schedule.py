"""How long a message waits before it is tried again: a share of the time for which it has been failing.

So what fails for a second is tried again within seconds, what fails for hours comes back soon after these hours, measured by
them, and the number of attempts grows with the logarithm of the time only.
"""

from __future__ import annotations

import zlib

SHORTEST_DELAY_S = 2
DOUBLED_UP_TO_S = 20
"""At first the waits double: most failures are over in seconds."""
LONGEST_DELAY_S = 42_000
"""SQS hides a message for at most 12 hours (43,200 s) counted from when it was received; the rest is time to work on it."""
GIVEN_UP_AFTER_S = 5 * 86_400
"""An outage of days finds every message alive, and no queue forgets one: they keep them for 14 days."""
KEPT_WAITING_S = 12 * 86_400
"""As long may a message wait with which nothing is wrong. What its queue forgets, after those 14 days, nobody would ever miss."""
OF_A_PASSING_FAILURE = 1 / 20
"""After an outage of two hours everything is back within seven minutes."""
OF_A_DEFECT = 1.0
"""What nobody foresaw is not over by itself: its waits double."""
SPREAD = 0.2
"""What failed together comes back spread over this share of its wait."""


def delay_s(age_s: float, asked_s: int | None, message_id: str, share: float = OF_A_PASSING_FAILURE) -> int:
    """Seconds to hide a message that was received for the first time `age_s` ago, and in vain ever since.

    Never less than `asked_s`, what the other side asked for, as far as SQS can wait that long. The spread depends on the message
    id alone, so the same run gives the same waits.
    """
    place = zlib.crc32(message_id.encode()) / 2**32
    wait = max(SHORTEST_DELAY_S, min(age_s, DOUBLED_UP_TO_S), age_s * share, asked_s or 0)
    return min(round(wait * (1 + SPREAD * place)), LONGEST_DELAY_S)
