"""The local stack: `template.yaml`, unchanged, deployed with `sam deploy` into an AWS emulator on this machine."""

from tools.local_stack.process import free_port
from tools.local_stack.stack import LocalStack, LocalStackError, Progress

__all__ = ["LocalStack", "LocalStackError", "Progress", "free_port"]
