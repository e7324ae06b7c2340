"""Requests of web pages and of strangers, which the endpoint refuses before it looks at anything else."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.endpoint import Endpoint
from local.endpoint.api.gate import BODY_BYTES
from local.endpoint.control.client import Control, ControlError
from local.endpoint.credentials import FILE, Credentials

STRANGER = "AKIAIOSFODNN7EXAMPLE"


def send(
    world, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(world.aws.url.removeprefix("http://"), timeout=120)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def with_own_key(world, path: str, service: str = "lambda") -> str:
    """Return a path with the endpoint's own key in its query, as a presigned URL has it."""
    return f"{path}?X-Amz-Credential={world.aws.access_key_id}/20260101/us-east-1/{service}/aws4_request"


@pytest.mark.parametrize("origin", ["https://page.example", "http://127.0.0.1", "http://localhost:3000", "null"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_a_page_of_another_origin_is_refused_even_with_the_key(world, origin, method):
    path = with_own_key(world, "/2015-03-31/functions")
    status, headers, body = send(world, method, path, {"Origin": origin, "Content-Type": "text/plain"}, b"{}")
    assert (status, json.loads(body)["message"].partition(": ")[2]) == (403, origin)
    assert [name for name in headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_that_a_page_of_another_origin_made_without_an_origin_header_is_refused(world, site):
    assert send(world, "GET", with_own_key(world, "/2015-03-31/functions"), {"Sec-Fetch-Site": site})[0] == 403


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_an_address_that_the_user_opens_is_served(world, site):
    assert send(world, "GET", with_own_key(world, "/2015-03-31/functions"), {"Sec-Fetch-Site": site})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "page.example",
        "page.example:{port}",
        "127.0.0.1.page.example:{port}",
        "127.0.0.1:1",
        "localhost.",
        "",
        "[::1]:{port}",
    ],
)
def test_a_name_that_resolves_to_the_endpoint_is_not_served(world, host):
    headers = {"Host": host.format(port=world.aws.url.rpartition(":")[2])}
    for path in (with_own_key(world, "/2015-03-31/functions"), "/_weir/mappings", "/_aws/execute-api/a/b"):
        status, _, body = send(world, "GET", path, headers)
        assert (status, "does not serve the host" in json.loads(body)["message"]) == (403, True)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "127.0.0.1"])
def test_the_endpoints_own_names_are_served(world, host):
    headers = {"Host": host.format(port=world.aws.url.rpartition(":")[2])}
    assert send(world, "GET", with_own_key(world, "/2015-03-31/functions"), headers)[0] == 200


def test_no_answer_has_a_cors_header(world):
    world.client("s3").create_bucket(Bucket=world.name)
    for path in (with_own_key(world, "/2015-03-31/functions"), with_own_key(world, f"/{world.name}", "s3"), "/nothing"):
        _, headers, _ = send(world, "GET", path, {})
        assert [name for name in headers if name.startswith("access-control")] == []


CALLS = [
    ("dynamodb", "list_tables", {}, "UnrecognizedClientException", 400),
    ("lambda", "list_functions", {}, "UnrecognizedClientException", 403),
    ("iam", "list_roles", {}, "InvalidClientTokenId", 403),
    (
        "sns",
        "publish",
        {"TopicArn": "arn:aws:sns:us-east-1:111122223333:none", "Message": "-"},
        "InvalidClientTokenId",
        403,
    ),
    ("s3", "list_objects_v2", {"Bucket": "none"}, "InvalidAccessKeyId", 403),
]


@pytest.mark.parametrize(("service", "operation", "arguments", "code", "status"), CALLS)
def test_a_key_that_the_endpoint_did_not_issue_gets_awss_error_and_the_way_out(
    world, service, operation, arguments, code, status
):
    client = boto3.client(
        service,
        endpoint_url=world.aws.url,
        region_name="us-east-1",
        aws_access_key_id=STRANGER,
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**arguments)
    error, metadata = refused.value.response["Error"], refused.value.response["ResponseMetadata"]
    assert (error["Code"], metadata["HTTPStatusCode"]) == (code, status)
    assert STRANGER in error["Message"]
    assert "AWS_ACCESS_KEY_ID" in error["Message"]
    assert world.aws.access_key_id not in error["Message"]


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_is_served_with_an_issued_key_alone(world, version):
    world.client("s3").create_bucket(Bucket=world.name)
    world.client("s3").put_object(Bucket=world.name, Key="k", Body=b"content")

    def get(access_key_id: str) -> tuple[int, bytes]:
        client: Any = boto3.client(
            "s3",
            endpoint_url=world.aws.url,
            region_name="us-east-1",
            aws_access_key_id=access_key_id,
            aws_secret_access_key=world.aws.secret_access_key,
            config=Config(signature_version=version),
        )
        url = client.generate_presigned_url("get_object", Params={"Bucket": world.name, "Key": "k"})
        assert ("AWSAccessKeyId" in url) == (version == "s3")
        status, _, body = send(world, "GET", url.removeprefix(world.aws.url), {})
        return status, body

    assert get(world.aws.access_key_id) == (200, b"content")
    status, body = get(STRANGER)
    assert (status, b"InvalidAccessKeyId" in body) == (403, True)


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "mappings"), ("POST", "clock"), ("DELETE", "faults"), ("GET", "no")]
)
def test_the_control_api_needs_its_token(world, token, method, path):
    status, _, body = send(world, method, f"/_weir/{path}", {"Authorization": f"Bearer {token}"}, b'{"advance": 1}')
    assert (status, "needs the endpoint's token" in json.loads(body)["message"]) == (403, True)
    with pytest.raises(ControlError, match="needs the endpoint's token"):
        Control(world.aws.url, token).mappings()


def test_a_body_is_refused_by_its_length_before_it_is_sent(world):
    head = {"Content-Length": str(BODY_BYTES + 1)}
    connection = http.client.HTTPConnection(world.aws.url.removeprefix("http://"), timeout=120)
    connection.putrequest("PUT", with_own_key(world, "/bucket/key", "s3"))
    for name, value in head.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, b"EntityTooLarge" in response.read()) == (413, True)
    connection.close()


def test_a_body_without_a_length_is_refused_once_it_is_too_large(world):
    def parts():
        for _ in range(BODY_BYTES // 2**20 + 2):
            yield bytes(2**20)

    connection = http.client.HTTPConnection(world.aws.url.removeprefix("http://"), timeout=60)
    try:
        connection.request(
            "PUT",
            with_own_key(world, "/bucket/key", "s3"),
            body=parts(),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )
        assert connection.getresponse().status == 413
    except ConnectionError:
        pass  # the endpoint has closed it, which a client that still sends sees first
    finally:
        connection.close()
    assert send(world, "GET", with_own_key(world, "/2015-03-31/functions"), {})[0] == 200


def test_headers_that_are_too_large_are_refused(world):
    status, _, _ = send(world, "GET", with_own_key(world, "/2015-03-31/functions"), {"X-Long": "x" * 100_000})
    assert status in (400, 431)


def test_a_websocket_is_refused(world):
    host = world.aws.url.removeprefix("http://")
    handshake = (
        f"GET /_weir/mappings HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    address, _, port = host.partition(":")
    with socket.create_connection((address, int(port)), timeout=120) as connection:
        connection.sendall(handshake.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 403")


def test_endpoints_with_the_same_state_share_their_secrets_and_others_have_their_own(tmp_path):
    one, two = Endpoint(state=tmp_path / "clone"), Endpoint(state=tmp_path / "clone")
    assert (one.access_key_id, one.secret_access_key) == (two.access_key_id, two.secret_access_key)
    assert Endpoint(state=tmp_path / "another").access_key_id != one.access_key_id
    assert Endpoint().access_key_id != one.access_key_id
    assert (tmp_path / "clone" / FILE).stat().st_mode & 0o777 == 0o600
    kept = Credentials.kept(tmp_path / "clone")
    assert kept.access_key_id == one.access_key_id
    assert kept.control_token not in repr(kept)


@pytest.mark.parametrize(
    "spoil", [lambda file: file.chmod(0o644), lambda file: file.write_text("{"), lambda file: file.write_text("[]")]
)
def test_secrets_that_others_could_read_or_that_cannot_be_read_are_replaced(tmp_path, spoil):
    before = Credentials.kept(tmp_path)
    spoil(tmp_path / FILE)
    after = Credentials.kept(tmp_path)
    assert after.access_key_id != before.access_key_id
    assert Credentials.kept(tmp_path) == after
    assert [each.name for each in tmp_path.iterdir()] == [FILE]
