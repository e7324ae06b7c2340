"""Writes a pull request's comment from the engine's event log: the diff, the policy violations and the errors.

`python -m tools.preview_comment events.json`. The log is that of `pulumi preview --event-log`, which
PULUMI_DEBUG_COMMANDS=true shows; `preview --json` has no policy results.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: Rows of a table that a comment shows at most.
ROWS = 100


def comment(events: Iterable[Mapping[str, Any]]) -> str:
    """Return the comment in Markdown."""
    changes: list[tuple[str, str, str, str]] = []
    violations: list[tuple[str, str, str, str]] = []
    errors: list[str] = []
    for event in events:
        if found := event.get("resourcePreEvent", {}).get("metadata"):
            name, type_ = found["urn"].rpartition("::")[2], found["type"].rpartition(":")[2]
            if found["op"] not in ("same", "read"):
                changes.append((found["op"], type_, name, ", ".join(found.get("diffs") or ())))
        elif found := event.get("policyEvent"):
            name = found.get("resourceUrn", "").rpartition("::")[2]
            violations.append((found["enforcementLevel"], found["policyName"], name, found["message"].strip()))
        elif (found := event.get("diagnosticEvent")) and found["severity"] == "error":
            errors.append(found["message"].strip())
    counted = ", ".join(f"{count} {name}" for name, count in sorted(Counter(row[0] for row in changes).items()))
    return "\n".join(
        [
            f"### Pulumi preview: {counted or 'no changes'}",
            *_table(("operation", "type", "name", "changed"), changes),
            *(["", "#### Policy violations"] if violations else []),
            *_table(("level", "rule", "resource", "why, and what to do"), violations),
            *(["", "#### Errors", "```", *errors, "```"] if errors else []),
            "",
        ]
    )


def _table(heads: tuple[str, ...], rows: list[tuple[str, str, str, str]]) -> list[str]:
    if not rows:
        return []
    lines = ["", _row(heads), _row(("---",) * len(heads)), *map(_row, rows[:ROWS])]
    return [*lines, *([f"\n… and {len(rows) - ROWS} more"] if len(rows) > ROWS else [])]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells) + " |"


if __name__ == "__main__":
    log = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    sys.stdout.write(comment(json.loads(line) for line in log))
