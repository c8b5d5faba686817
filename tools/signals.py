"""Being asked to stop."""

from __future__ import annotations

import signal
import sys

TERMINATED = 128 + signal.SIGTERM


def unwind_when_stopped() -> None:
    """Let SIGTERM and Ctrl-C unwind every `with` block, so that what was started is stopped.

    Ctrl-C too needs saying: a shell starts what runs in the background with it ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
