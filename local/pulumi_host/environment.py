"""The variables that make a Pulumi CLI deploy to an endpoint of this machine, and to nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from local.endpoint.clients import Connection
from local.pulumi_host.cli import VERSION, Cli


def engine_environment(
    cli: Cli, *, directory: Path, providers: str, connection: Connection, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Make the variables of a CLI.

    Args:
        cli: The CLI.
        directory: Holds its state and its home, which are its own: the user's ~/.pulumi is not touched.
        providers: PULUMI_DEBUG_PROVIDERS, by which the engine attaches the provider that runs already.
        connection: The endpoint.
        base: Variables to start from; by default this process's.
    """
    state, home = directory / "state", directory / "home"
    for each in (state, home):
        each.mkdir(parents=True, exist_ok=True)
    kept = {
        name: value for name, value in (os.environ if base is None else base).items() if not name.startswith("AWS_")
    }
    return {
        **kept,
        "PATH": f"{cli.path.parent}{os.pathsep}{kept.get('PATH', '')}",
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": kept.get("PULUMI_CONFIG_PASSPHRASE", ""),
        "PULUMI_DEBUG_PROVIDERS": providers,
        # Otherwise the engine would download the provider that it does not need.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_OPTION_SKIP_PLUGIN_PRE_INSTALL": "true",
        "PULUMI_HOME": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "WEIR_HOST_PYTHON": sys.executable,
        "WEIR_PULUMI_VERSION": VERSION,
        **aws_environment(connection),
    }


def aws_environment(connection: Connection) -> dict[str, str]:
    """The variables that point any AWS client at an endpoint."""
    return {
        "AWS_ENDPOINT_URL": connection.url,
        "AWS_REGION": connection.region,
        # Which of the two is read depends on the SDK: boto3 and version 1 of the CLI read this one alone.
        "AWS_DEFAULT_REGION": connection.region,
        "AWS_ACCESS_KEY_ID": connection.access_key_id,
        "AWS_SECRET_ACCESS_KEY": connection.secret_access_key,
    }
