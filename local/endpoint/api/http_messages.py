"""HTTP requests and replies, read and written as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self
from urllib.parse import parse_qsl

_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")

#: The `client` of requests that the endpoint's own threads make.
OWN = "the endpoint itself"

#: Signature version 2, which boto3 presigns URLs of S3 with.
_VERSION_2 = re.compile(r"AWS ([^:\s]+):")


@dataclass(frozen=True)
class Request:
    """An HTTP request, read completely.

    Attributes:
        path: The path as it was sent, percent-encoded.
        query_string: The query as it was sent, without its question mark.
        headers: Values by lower-case name.
        client: The connection that it came by, which tells one client process from another.
    """

    method: str = "POST"
    path: str = "/"
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    client: str = ""

    @cached_property
    def query(self) -> dict[str, str]:
        """The query parameters, decoded."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def is_form(self) -> bool:
        """Whether the request speaks the query protocol."""
        return self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")

    @property
    def signing_name(self) -> str | None:
        """The service in the signature's credential scope; `None` if the request is not signed."""
        return self._signed_by[1]

    @property
    def access_key_id(self) -> str | None:
        """The access key in a header, or in a presigned URL; `None` if the request is not signed."""
        return self._signed_by[0]

    @cached_property
    def _signed_by(self) -> tuple[str | None, str | None]:
        authorization = self.headers.get("authorization", "")
        credential = self.query.get("X-Amz-Credential")
        found = _SCOPE.search(f"Credential={credential}" if credential else authorization)
        if found:
            return found[1], found[3]
        if "AWSAccessKeyId" in self.query and "Signature" in self.query:
            return self.query["AWSAccessKeyId"], "s3"
        old = _VERSION_2.match(authorization)
        return (old[1], "s3") if old else (None, None)

    def with_body(self, body: bytes) -> Self:
        """Return the same request with another body."""
        return replace(self, body=body, headers={**self.headers, "content-length": str(len(body))})


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def plain(cls, status: int, headers: Mapping[str, str], body: bytes) -> Self:
        """Make a reply from headers that are text."""
        return cls(status, [(name.encode(), value.encode()) for name, value in headers.items()], body)

    @classmethod
    def json(cls, status: int, document: Any) -> Self:
        """Make a reply from a JSON document."""
        return cls(status, [(b"content-type", b"application/json")], json.dumps(document).encode())

    def with_body(self, body: bytes) -> Self:
        """Return the same reply with another body, and without the checksum of the former one."""
        headers = [each for each in self.headers if each[0].lower() not in (b"content-length", b"x-amz-crc32")]
        return replace(self, headers=[*headers, (b"content-length", str(len(body)).encode())], body=body)

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name."""
        return next((value.decode() for key, value in self.headers if key.lower() == name.encode()), None)
