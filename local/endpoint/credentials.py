"""Secrets of an endpoint: an access key for its clients, and a token for its control API."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

#: Name of the file with an endpoint's secrets in its state directory. Its mode is 0600.
FILE = "credentials.json"


@dataclass(frozen=True)
class Credentials:
    """Secrets of an endpoint. They are random, since whoever knows them can run code here.

    Attributes:
        access_key_id: The id of the access key.
        secret_access_key: The secret that requests are signed with.
        control_token: The token of the control API.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    control_token: str = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        """Make new secrets."""
        return cls(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30), secrets.token_urlsafe(30))

    @classmethod
    def kept(cls, directory: Path) -> Self:
        """Return the secrets that endpoints with this state directory share, and make them the first time.

        A file that other users could have read is replaced.
        """
        found = cls._read(directory / FILE)
        return found or cls._write(directory)

    @classmethod
    def _read(cls, path: Path) -> Self | None:
        try:
            with path.open(encoding="utf-8") as file:
                of = os.fstat(file.fileno())
                if of.st_uid != os.getuid() or of.st_mode & 0o077:
                    return None
                document: dict[str, Any] = json.load(file)
            return cls(**{name: str(value) for name, value in document.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    @classmethod
    def _write(cls, directory: Path) -> Self:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / FILE
        made = cls.random()
        # mkstemp creates it with mode 0600.
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=FILE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(made), file)
            if path.exists() and cls._read(path) is None:
                path.unlink(missing_ok=True)
            # Of endpoints that start at the same time, one wins.
            os.link(name, path)
        except FileExistsError:
            return cls._read(path) or made
        finally:
            Path(name).unlink(missing_ok=True)
        return made
