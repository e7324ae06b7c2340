"""`Refused`: how a component says no."""

from __future__ import annotations

import pulumi


class Refused(pulumi.RunError, ValueError):
    """The program asks for something that AWS would refuse, or would accept and lose changes by.

    The message names the component, and says what would be lost and what to do. Pulumi prints it without a traceback.
    """
