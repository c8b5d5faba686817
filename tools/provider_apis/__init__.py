"""Stand-ins for the APIs of providers whose deliveries only name objects: for development, never shipped to Lambda.

They answer from `events/<provider>/objects/`, so what a sample delivery names is there to be fetched.
"""

from tools.provider_apis.stand_in import STAND_INS, Answer, answered

__all__ = ["STAND_INS", "Answer", "answered"]
