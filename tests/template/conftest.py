"""The template as CloudFormation sees it: what no emulator checks is asserted on that."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
ENTRANCES = ("event_received", "ingest", "operations")
WITHOUT_QUEUE = ("evidence_anchored", "evidence_recorded", "reconcile")
"""Functions that neither a sender nor a queue of their own calls."""
WORKERS = [name for name in FOLDERS if name not in {*ENTRANCES, *WITHOUT_QUEUE}]
EVERYTHING = ("EventsQueue=create", "StripeEventBusName=aws.partner/stripe.com/ed_1", "PlatformEventBusName=platform")
"""The parameters that bring about what is left out otherwise."""
SAM_PYTHON = ROOT / ".tools" / "sam" / "bin" / "python"


def pascal(folder: str) -> str:
    """payment_succeeded -> PaymentSucceeded, which begins the names of all that belongs to the function."""
    return "".join(word.capitalize() for word in folder.split("_"))


def arn_of(logical_id: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


def one_or_many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text_of(value: Any) -> str:
    """A text, whether or not something remained in it to be substituted."""
    return str(value["Fn::Sub"] if isinstance(value, dict) else value)


@dataclass(frozen=True)
class Template:
    resources: dict[str, dict[str, Any]]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: body["Properties"] for name, body in self.resources.items() if body["Type"] == kind}

    def properties(self, logical_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[logical_id]["Properties"]
        return found

    def statements(self, role: str) -> list[dict[str, Any]]:
        """All that a role may do: its own policies and the shared ones that are attached to it."""
        documents = [policy["PolicyDocument"] for policy in self.properties(role).get("Policies", ())]
        documents += [p["PolicyDocument"] for p in self.of_type("AWS::IAM::Policy").values() if {"Ref": role} in p["Roles"]]
        return [statement for document in documents for statement in document["Statement"]]

    def allowed(self, role: str, service: str) -> dict[str, list[Any]]:
        """Action to resources, of one service."""
        allowed: dict[str, list[Any]] = {}
        for statement in self.statements(role):
            assert statement["Effect"] == "Allow"
            for action in one_or_many(statement["Action"]):
                if action.startswith(f"{service}:"):
                    allowed.setdefault(action, []).extend(one_or_many(statement["Resource"]))
        return allowed


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    target = tmp_path_factory.mktemp("template") / "template.json"
    command: list[str | Path] = [SAM_PYTHON, ROOT / "tools" / "plain_template.py", ROOT / "template.yaml", target, *EVERYTHING]
    subprocess.run(command, check=True, timeout=120, capture_output=True)  # noqa: S603 - the project's own script
    return Template(json.loads(target.read_text())["Resources"])
