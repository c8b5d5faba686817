"""Cuts the layer's copy of botocore to what is called, because it is parsed anew at every cold start.

Other services and all prose go, and compressed files are unpacked; the operations, shapes and endpoints of the services that are
named stay as they are. Usage: slim_botocore.py BOTOCORE_DATA SERVICE...
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

READ_BY_BOTOCORE = "clientContextParams"
"""The one part of a service's description whose prose botocore itself insists on."""


def main(data: Path, services: set[str]) -> None:
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    for packed in data.rglob("*.json.gz"):
        _write(packed.with_suffix(""), _without_prose(json.loads(gzip.decompress(packed.read_bytes()))))
        packed.unlink()
    endpoints = json.loads((data / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: known for name, known in partition["services"].items() if name in services}
    _write(data / "endpoints.json", endpoints)


def _without_prose(model: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(model, dict):
        # A member of a structure may itself be called `documentation`; then it is an object.
        return {
            name: part if name == READ_BY_BOTOCORE else _without_prose(part)
            for name, part in model.items()
            if name != "documentation" or not isinstance(part, str)
        }
    return [_without_prose(part) for part in model] if isinstance(model, list) else model


def _write(file: Path, model: Any) -> None:  # noqa: ANN401 - any JSON
    file.write_text(json.dumps(model, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), set(sys.argv[2:]))
