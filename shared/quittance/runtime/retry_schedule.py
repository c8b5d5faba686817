"""How long a message waits before it is tried again."""

from __future__ import annotations

import zlib

SCHEDULE_S = (2, 10, 30, 120, 600, 1800, 3600, 10_800, 21_600, 42_000)
"""The wait in seconds after the first, second, ... time a message was received in vain; the last one repeats.

Short at first, because most failures pass in seconds; long at the end, so that an outage of a day finds every message alive.
"""
LONGEST_DELAY_S = 42_000
"""SQS hides a message for at most 12 hours (43,200 s) counted from when it was received; the rest is time to work on it."""
SPREAD = 0.2
"""What failed together comes back spread over this share of its wait."""


def delay_s(receive_count: int, asked_s: int | None, message_id: str) -> int:
    """Seconds to hide a message that was received `receive_count` times, each in vain.

    Never less than `asked_s`, what the other side asked for, as far as SQS can wait that long. The spread depends on the message
    id alone, so the same run gives the same waits.
    """
    place = zlib.crc32(message_id.encode()) / 2**32
    scheduled = SCHEDULE_S[min(max(receive_count, 1), len(SCHEDULE_S)) - 1] * (1 - SPREAD * place)
    asked = (asked_s or 0) * (1 + SPREAD * place)
    return min(round(max(scheduled, asked)), LONGEST_DELAY_S)
