"""Cuts the layer's copy of stdnum to what checks the tax numbers of each country: the rest is most of its size.

Usage: slim_stdnum.py PACKAGES, the folder that holds both stdnum and quittance.
"""

import pkgutil
import sys
from importlib import import_module
from pathlib import Path

NEEDED_LATER = ("stdnum.numdb",)
"""Modules that are loaded only for some numbers."""
NEEDED_DATA = ("at/fa.dat",)


def main(packages: Path) -> None:
    sys.path.insert(0, str(packages))
    sys.dont_write_bytecode = True
    tax_numbers = import_module("quittance.tax_numbers")
    stdnum = packages / "stdnum"
    for folder in pkgutil.iter_modules([str(stdnum)]):
        if folder.ispkg:
            tax_numbers.tax_number_fault(folder.name.strip("_"), "XX0")
    for module in NEEDED_LATER:
        import_module(module)
    needed = {Path(str(module.__file__)) for name, module in sys.modules.items() if name.partition(".")[0] == "stdnum"}
    needed |= {stdnum / name for name in NEEDED_DATA}
    for file in stdnum.rglob("*"):
        if file.is_file() and file not in needed:
            file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
