"""Writes docs/pictures: the program of each route, and the way of a failing record.

`python -m tools.diagrams` writes the pictures; `make docs` does the same.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from ops.diagram import pictures
from ops.diagram.command import of_program
from ops.diagram.topology import topology
from tools import written_files

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"


def drawn() -> Mapping[Path, str]:
    """Return the content of each picture."""
    fan_out = topology(of_program(ROOT, "dev"))
    direct = topology(of_program(ROOT, "dev", {"weir:fanOut": "false"}))
    return {
        FOLDER / "program.svg": pictures.svg("The program, with a fan-out", fan_out),
        FOLDER / "direct.svg": pictures.svg("The program, with a consumer that reads the stream itself", direct),
        FOLDER / "failing-record.svg": pictures.failing_record(),
    }


if __name__ == "__main__":
    logging.disable()
    written_files.write(drawn(), FOLDER.glob("*.svg"))
