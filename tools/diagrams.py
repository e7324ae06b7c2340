"""Writes docs/pictures: the program of each route, the way to each optional consumer, and that of a failing record.

`python -m tools.diagrams` writes the pictures; `make docs` does the same.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.diagram import pictures
from ops.diagram.command import of_program
from ops.diagram.topology import topology, ways_to
from tests.everything import EVERYTHING
from tools import written_files

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"


#: The consumers and pipes of each guide, by the picture's name.
SHOWN: Mapping[str, Sequence[str]] = {
    "audit-log": ["audit-log"],
    "counters": ["plan-counts"],
    "effects": ["welcome-email"],
    "leaderboard": ["leaderboard"],
    "onboarding": ["onboarding"],
    "projections": ["entitlements"],
    "read-model-cache": ["read-model-cache"],
    "read-model-sql": ["read-model-sql"],
    "search-index": ["search-index"],
    "sequencing": ["account-ready", "account-ready-accounts"],
    "users-by-email": ["users-by-email"],
    "webhooks": ["webhooks", "webhook-sender"],
}


def drawn() -> Mapping[Path, str]:
    """Return the content of each picture."""
    fan_out = topology(of_program(ROOT, "dev"))
    direct = topology(of_program(ROOT, "dev", {"weir:fanOut": "false"}))
    everything = topology(of_program(ROOT, "dev", EVERYTHING))
    return {
        **{
            FOLDER / f"{name}.svg": pictures.svg(f"The way to {' and '.join(shown)}", ways_to(shown, everything))
            for name, shown in SHOWN.items()
        },
        FOLDER / "program.svg": pictures.svg("The program, with a fan-out", fan_out),
        FOLDER / "direct.svg": pictures.svg("The program, with a consumer that reads the stream itself", direct),
        FOLDER / "failing-record.svg": pictures.failing_record(),
    }


if __name__ == "__main__":
    logging.disable()
    written_files.write(drawn(), FOLDER.glob("*.svg"))
