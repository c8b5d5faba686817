"""Write `template.yaml` as CloudFormation sees it after its transforms: no loops, no SAM types. For scanners and tests.

Run by the SAM command line's own Python: plain_template.py TEMPLATE OUTPUT [PARAMETER=VALUE ...]. What a condition leaves out
comes out incomplete, so tests give the parameters that bring everything about.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class _NoManagedPolicies:
    """The template uses none of AWS's managed policies, so there are none to look up."""

    def load(self) -> dict[str, str]:
        return {}


def plain(template: str, parameters: dict[str, str]) -> str:
    """The template after its transforms, as JSON. Raises SAM's own errors for one that is not valid."""
    validator = SamTemplateValidator(
        yaml_parse(template),
        _NoManagedPolicies(),
        region="eu-central-1",
        parameter_overrides=parameters,
        language_extensions_enabled=True,
    )
    return json.dumps(yaml_parse(validator.get_translated_template_if_valid()), indent=1)


if __name__ == "__main__":
    source, target = (Path(argument) for argument in sys.argv[1:3])
    chosen = dict(argument.split("=", 1) for argument in sys.argv[3:])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(plain(source.read_text(encoding="utf-8"), chosen), encoding="utf-8")
