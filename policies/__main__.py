"""Starts the pack for the Pulumi engine. `PolicyPack` serves until the engine ends it, so nothing may follow."""

import sys
from pathlib import Path

from pulumi_policy import PolicyPack

# The packages it imports are in the clone one folder up, and in the gathered pack in its own folder.
here = Path(__file__).resolve().parent
sys.path.insert(0, str(here if (here / "aws_semantics").exists() else here.parent))

from policies.pack import DESCRIPTION, NAME, policies  # noqa: E402 - found only now
from policies.rules import all_rules  # noqa: E402 - found only now

PolicyPack(NAME, policies(all_rules()), description=DESCRIPTION)
