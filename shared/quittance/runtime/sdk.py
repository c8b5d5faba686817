"""What every client of the AWS SDK has in common."""

from __future__ import annotations

from typing import Any

LEAN: dict[str, Any] = {"parameter_validation": False, "user_agent": "quittance"}
"""Options of a botocore `Config` that save a third of what a call costs.

The shapes of what is sent are checked by types and by tests, and by the service itself, so not once more at every call; nor is
the SDK's own description of itself put together anew each time.
"""
