"""Real servers for tests: those that the demo starts."""

from __future__ import annotations

from ops.demo.receivers.servers import postgresql, redis, require_password

__all__ = ["postgresql", "redis", "require_password"]
