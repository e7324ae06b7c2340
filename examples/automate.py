"""Drives a stack by `pulumi.automation`: previews with the policy pack, then deploys if nothing is replaced.

    python examples/automate.py <directory of the program> <stack>

It needs the Pulumi CLI on PATH, and a stack that exists.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pulumi import automation

REPLACING = ("replace", "delete", "create-replacement", "delete-replaced")


def main(program: Path, name: str) -> None:
    """Preview, and deploy unless something would be replaced or deleted."""
    stack = automation.select_stack(name, work_dir=str(program))
    pack = program / "policies"
    preview = stack.preview(
        policy_packs=[str(pack)], policy_pack_configs=[str(pack / "configs" / "strict.json")], color="never"
    )
    if dangerous := {str(kind): count for kind, count in preview.change_summary.items() if kind in REPLACING}:
        sys.exit(f"not deployed, because resources would be replaced or deleted: {dangerous}")
    deployed = stack.up(color="never")
    changes = deployed.summary.resource_changes
    sys.stdout.write(json.dumps({"changes": changes, "outputs": sorted(deployed.outputs)}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
