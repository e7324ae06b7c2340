"""Checks the signature of a request to an AWS_IAM route of an HTTP API, with botocore's own signer."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.endpoint.api.http_messages import Request
from local.endpoint.clients import Connection

#: Maximum difference between a signature's date and the time, as on AWS.
SIGNATURE_LIFETIME = timedelta(minutes=5)


def is_signed(request: Request, connection: Connection, *, now: datetime | None = None) -> bool:
    """Return whether a request was signed with the endpoint's keys within the last five minutes."""
    algorithm, _, rest = request.headers.get("authorization", "").partition(" ")
    parts = {name: value for name, _, value in (part.strip().partition("=") for part in rest.split(","))}
    date = request.headers.get("x-amz-date", "")
    try:
        made = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    scope = "/".join((connection.access_key_id, date[:8], connection.region, "execute-api", "aws4_request"))
    signed_headers = parts.get("SignedHeaders", "").split(";")
    declared_hash = request.headers.get("x-amz-content-sha256")
    return (
        algorithm == "AWS4-HMAC-SHA256"
        and parts.get("Credential") == scope
        and "host" in signed_headers
        and abs((now or datetime.now(UTC)) - made) <= SIGNATURE_LIFETIME
        and declared_hash in (None, hashlib.sha256(request.body).hexdigest())
        and hmac.compare_digest(_signature(request, connection, date, signed_headers), parts.get("Signature", ""))
    )


def _signature(request: Request, connection: Connection, date: str, signed_headers: list[str]) -> str:
    query = f"?{request.query_string}" if request.query_string else ""
    signed = AWSRequest(
        method=request.method,
        url=f"http://{request.headers.get('host', '')}{request.path}{query}",
        headers={name: request.headers.get(name, "") for name in signed_headers},
        data=request.body,
    )
    signed.context["timestamp"] = date
    signer = SigV4Auth(
        Credentials(connection.access_key_id, connection.secret_access_key), "execute-api", connection.region
    )
    return signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
