"""The configuration that switches every consumer of the program on, and every walk over its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

#: For a stack whose files say nothing of them.
EVERYTHING: Final = {
    "weir:crmUrl": "https://crm.example.com/api",
    "weir:crmToken": "the CRM's token",
    "weir:auditLog": "true",
    "weir:auditDrop": "phone",
    "weir:auditHash": "email",
    "weir:auditHashKey": "the hashes' key",
    "weir:usersByEmail": "true",
    "weir:leaderboard": "true",
    "weir:onboarding": "true",
    "weir:accounts": "true",
    "weir:webhookUrl": "https://acme.example.com/hook",
    "weir:webhookKey": "the partner's key",
    "weir:signedWebhookUrl": "https://globex.example.com/hook",
    "weir:signedWebhookSecret": "the signatures' secret",
    "weir:postgresqlUrl": "postgresql://weir@db.example.com/app?sslmode=verify-full&sslrootcert=system",
    "weir:postgresqlPassword": "the database's password",
    "weir:cacheUrl": "rediss://cache.example.com:6379/0",
    "weir:cachePassword": "the cache's password",
    "weir:searchUrl": "https://search-users-abc.eu-central-1.es.amazonaws.com",
    "weir:searchDomainArn": "arn:aws:es:eu-central-1:123456789012:domain/users",
    "weir:vpcSubnetIds": "subnet-0a1b,subnet-0c2d",
    "weir:vpcSecurityGroupIds": "sg-0a1b2c3d",
    "weir:reconciliation": "true",
    "weir:backfill": "entitlements,users-by-email,read-model-sql",
}

#: The keys of it that are secrets.
SECRETS: Final = (
    "weir:crmToken",
    "weir:auditHashKey",
    "weir:webhookKey",
    "weir:signedWebhookSecret",
    "weir:postgresqlPassword",
    "weir:cachePassword",
)


def install_nothing(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """Make layers of their locks alone, for tests that look at resources and need no registry."""
    patch.setenv("XDG_CACHE_HOME", str(cache))
    patch.setattr("components.python_layer._install", lambda name, lock, target: None)
