"""Entry point of the command `weir`. A stop while it still loads prints no traceback either."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; exits 130 when it is stopped, by the convention of shells for SIGINT."""
    try:
        from ops.cli import app

        app()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
