"""The configuration that switches every consumer of the program on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

#: For a stack whose files say nothing of them.
EVERYTHING: Final = {
    "weir:crmUrl": "https://crm.example.com/api",
    "weir:crmToken": "a token",
    "weir:auditLog": "true",
    "weir:auditDrop": "phone",
    "weir:auditHash": "email",
    "weir:auditHashKey": "a key",
    "weir:usersByEmail": "true",
    "weir:leaderboard": "true",
    "weir:onboarding": "true",
    "weir:accounts": "true",
    "weir:webhookUrl": "https://acme.example.com/hook",
    "weir:webhookKey": "a key",
    "weir:signedWebhookUrl": "https://globex.example.com/hook",
    "weir:signedWebhookSecret": "a secret",
    "weir:postgresqlUrl": "postgresql://weir@db.example.com/app?sslmode=verify-full&sslrootcert=system",
    "weir:postgresqlPassword": "a password",
    "weir:cacheUrl": "rediss://cache.example.com:6379/0",
    "weir:cachePassword": "a password",
    "weir:searchUrl": "https://search-users-abc.eu-central-1.es.amazonaws.com",
    "weir:searchDomainArn": "arn:aws:es:eu-central-1:123456789012:domain/users",
    "weir:vpcSubnetIds": "subnet-0a1b,subnet-0c2d",
    "weir:vpcSecurityGroupIds": "sg-0a1b2c3d",
}


def install_nothing(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """Make layers of their locks alone, for tests that look at resources and need no registry."""
    patch.setenv("XDG_CACHE_HOME", str(cache))
    patch.setattr("components.python_layer._install", lambda name, lock, target: None)
