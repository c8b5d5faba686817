"""The keys of the evidence journal, where the functions read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quittance.journal.entries import KeyRing, key_ring
from quittance.runtime.journal import new_secret
from tools.target import TargetError

if TYPE_CHECKING:
    from tools.target import Target

SETTING = "evidence/keys"
_SSM_MAX = 4096
"""Characters of a parameter of the standard tier."""


def keys_of(target: Target) -> KeyRing:
    """Raises `TargetError` if there are none, `Retry("evidence_key_unusable")` if they cannot be read."""
    return key_ring(target.setting(SETTING))


def add_key(target: Target) -> str:
    """Add a new key, which is in use from now on, and return its id. The first call of all makes the first one."""
    known = _known(target)
    key_id = datetime.now(UTC).strftime("k%Y%m%dT%H%M%S")
    text = "\n".join((*known, f"{key_id} {new_secret()}"))
    if len(text) > _SSM_MAX:
        raise TargetError(f"{len(known)} keys are as many as the parameter holds")
    name = target.setting_path(SETTING)
    target.client("ssm").put_parameter(
        Name=name, Value=text, Type="SecureString", KeyId=target.output("KeyArn"), Overwrite=bool(known)
    )
    return key_id


def _known(target: Target) -> list[str]:
    """The lines of the parameter. What cannot be read for another reason than that it is missing must not be replaced."""
    try:
        answer = target.client("ssm").get_parameter(Name=target.setting_path(SETTING), WithDecryption=True)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return []
        raise
    text = str(answer["Parameter"]["Value"])
    key_ring(text)
    return text.strip().splitlines()
