"""`Gate`: refuses requests of web pages and of strangers by their headers, before anything else is looked at.

Every program on this machine and every page in its browser can reach 127.0.0.1. A page cannot know the access key that
the endpoint issued, cannot choose the headers `Origin` and `Sec-Fetch-Site`, and reaches the endpoint with a `Host` of
its own if it had its name resolve to 127.0.0.1 (DNS rebinding). So no signature needs to be verified, except where
AWS_IAM is simulated on HTTP APIs.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Container

from local.endpoint.api.aws_call import protocol_of
from local.endpoint.api.errors import AwsError
from local.endpoint.api.http_messages import Request

#: Beginning of the paths of the control API.
CONTROL_PREFIX = "/_weir/"

#: Beginning of the paths of HTTP APIs: `/_aws/execute-api/<api>/<path of the route>`.
EXECUTE_API_PREFIX = "/_aws/execute-api/"

#: Maximum of bytes in a request's body: the maximum that AWS documents for CreateFunction, the largest of all here
#: (https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html: 50 MB of zipped code, in base64).
BODY_BYTES = 70_167_211

_API_HOST = re.compile(r"([a-z0-9]+)\.execute-api\.localhost")

_HOW = (
    "use the AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of this endpoint: `weir local up` prints the export commands, "
    "and `local.endpoint.Endpoint.client` makes boto3 clients with them"
)


class NotAdmitted(Exception):
    """A request that does not come from a client of the endpoint; the message says what is wrong."""


class Gate:
    """The checks of a request's headers.

    Args:
        port: The endpoint's port.
        issued: The ids of the access keys that the endpoint issued.
        control_token: The token of the control API.
    """

    def __init__(self, *, port: int, issued: Container[str], control_token: str) -> None:
        self._ports = ("", f":{port}")
        self._issued = issued
        self._control_token = control_token

    def check(self, request: Request) -> None:
        """Refuse a request that no client of the endpoint sends.

        Args:
            request: The request, whose body need not have been read.

        Raises:
            NotAdmitted: It comes from a web page, or was sent to another host, or lacks the token of the control API.
            AwsError: It is an AWS call without an access key that the endpoint issued, or too large.
        """
        host = request.headers.get("host", "")
        if not self._is_own(host):
            raise NotAdmitted(
                f"the local endpoint does not serve the host {host!r}, only 127.0.0.1, localhost and its APIs"
            )
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if origin not in (None, f"http://{host}") or site not in (None, "none", "same-origin"):
            raise NotAdmitted(f"the local endpoint does not serve web pages of other origins: {origin or site}")
        if request.path.startswith(CONTROL_PREFIX):
            self._check_token(request)
        elif api_path(request) is None:
            self._check_key(request)
        if int(request.headers.get("content-length") or 0) > BODY_BYTES:
            raise too_large(request)

    def _is_own(self, host: str) -> bool:
        name, colon, port = host.lower().partition(":")
        return colon + port in self._ports and (
            name in ("127.0.0.1", "localhost") or _API_HOST.fullmatch(name) is not None
        )

    def _check_token(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), self._control_token.encode()):
            raise NotAdmitted(
                "the control API needs the endpoint's token: `local.endpoint.Endpoint.control` sends it, and "
                "`local.endpoint.credentials` reads it from the endpoint's state directory"
            )

    def _check_key(self, request: Request) -> None:
        key = request.access_key_id
        if key is not None and key in self._issued:
            return
        protocol = protocol_of(request)
        if key is None:
            code, message, status = {
                "rest-xml": ("AccessDenied", "Access Denied", 403),
                "query": ("MissingAuthenticationToken", "Request is missing Authentication Token", 403),
            }.get(protocol, ("MissingAuthenticationTokenException", "Missing Authentication Token", 403))
            why = "the request is not signed"
        else:
            invalid = "The security token included in the request is invalid."
            code, message, status = {
                "rest-xml": (
                    "InvalidAccessKeyId",
                    "The AWS Access Key Id you provided does not exist in our records.",
                    403,
                ),
                "query": ("InvalidClientTokenId", invalid, 403),
            }.get(protocol, ("UnrecognizedClientException", invalid, 400 if protocol == "json" else 403))
            why = f"the local endpoint did not issue the access key {key}"
        raise AwsError(code, f"{message} ({why}: {_HOW})", status=status)


def api_path(request: Request) -> str | None:
    """Return the path of a request to an HTTP API, in its form with the API's id; `None` for other requests.

    >>> api_path(Request(path="/users", headers={"host": "a1b2.execute-api.localhost:4566"}))
    '/_aws/execute-api/a1b2/users'
    """
    if request.path.startswith(EXECUTE_API_PREFIX):
        return request.path
    named = _API_HOST.fullmatch(request.headers.get("host", "").partition(":")[0].lower())
    return f"{EXECUTE_API_PREFIX}{named[1]}{request.path}" if named else None


def is_plain_host(request: Request) -> bool:
    """Return whether a request was sent to the endpoint itself, not to one of its APIs by name."""
    return not _API_HOST.match(request.headers.get("host", "").lower())


def too_large(request: Request) -> AwsError:
    """Make the error for a body that is too large."""
    code = "EntityTooLarge" if request.signing_name == "s3" else "RequestEntityTooLargeException"
    return AwsError(code, f"the local endpoint accepts bodies of at most {BODY_BYTES:,} bytes", status=413)
