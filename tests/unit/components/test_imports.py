"""What importing the components brings along."""

from __future__ import annotations

import subprocess
import sys

#: Prints the services of pulumi_aws whose modules were executed; naming one of their classes is enough for that.
_PRINT_SERVICES = """
import sys
import components
print(*sorted({name.split(".")[1] for name in sys.modules if name.startswith("pulumi_aws.") and name.count(".") > 1}))
"""


def test_no_service_of_pulumi_aws_is_imported_before_a_component_is_made() -> None:
    command = [sys.executable, "-W", "ignore", "-c", _PRINT_SERVICES]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
