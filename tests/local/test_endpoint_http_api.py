"""Routes of an HTTP API: who may call them, and what a caller sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.credentials import Credentials

ECHO = """
import json

def handler(event, context):
    if event["rawPath"] == "/raise":
        raise RuntimeError("a secret of the implementation")
    if event["rawPath"] == "/bad-gateway":
        return {"statusCode": 502, "body": "said so"}
    return {"statusCode": 200, "body": json.dumps({"path": event["rawPath"], "body": event.get("body")})}
"""


@pytest.fixture
def api(world):
    """An API with a signed route and an open one; its path on the endpoint."""
    gateway = world.client("apigatewayv2")
    world.function(ECHO)
    api_id = gateway.create_api(Name=world.name, ProtocolType="HTTP")["ApiId"]
    gateway.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    integration = gateway.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=f"arn:aws:lambda:us-east-1:111122223333:function:{world.name}",
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    world.let_call(api_id)
    target = f"integrations/{integration}"
    gateway.create_route(ApiId=api_id, RouteKey="ANY /{name}", Target=target, AuthorizationType="AWS_IAM")
    gateway.create_route(ApiId=api_id, RouteKey="GET /open", Target=target, AuthorizationType="NONE")
    return world.aws.api_url(api_id).removeprefix(world.aws.url)


def test_a_signed_request_reaches_the_function(world, api):
    assert world.signed("POST", f"{api}/hello", {"a": 1}) == (200, {"path": "/hello", "body": '{"a": 1}'})


def test_query_parameters_and_escaped_paths_are_part_of_the_signature(world, api):
    assert world.signed("GET", f"{api}/caf%C3%A9?b=2&a=1")[0] == 200


def test_an_unsigned_request_is_forbidden(world, api):
    assert world.unsigned("POST", f"{api}/hello") == (403, {"message": "Forbidden"})


@pytest.mark.parametrize(
    "credentials",
    [("AKIAUNKNOWN", None), (None, "another secret"), ("test", "test"), ("111122223333", "test")],
)
def test_a_request_signed_with_other_keys_is_forbidden(world, api, credentials):
    access_key_id, secret = credentials
    keys = Credentials(access_key_id or world.aws.access_key_id, secret or world.aws.secret_access_key)
    assert world.signed("GET", f"{api}/hello", keys=keys) == (403, {"message": "Forbidden"})


def test_a_body_changed_after_it_was_signed_is_forbidden(world, api):
    assert world.signed("POST", f"{api}/hello", {"a": 1}, send={"a": 2}) == (403, {"message": "Forbidden"})


def test_a_body_changed_behind_a_declared_hash_is_forbidden(world, api):
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert world.signed("POST", f"{api}/hello", {"a": 1}, send={"a": 2}, headers=headers)[0] == 403


def test_a_path_changed_after_it_was_signed_is_forbidden(world, api):
    assert world.signed("GET", f"{api}/hello", send_path=f"{api}/other") == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_forbidden(world, api, minutes):
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert world.signed("GET", f"{api}/hello", at=at) == (403, {"message": "Forbidden"})


def test_a_request_signed_for_another_service_or_region_is_forbidden(world, api):
    assert world.signed("GET", f"{api}/hello", service="lambda")[0] == 403
    assert world.signed("GET", f"{api}/hello", region="eu-west-1")[0] == 403


@pytest.mark.parametrize("path", ["/$default/hello", "//hello", "/%68ello"])
def test_no_other_spelling_of_a_route_avoids_the_signature(world, api, path):
    assert world.unsigned("GET", f"{api}{path}")[0] in (403, 404)


def test_an_api_is_also_served_under_its_name_and_signatures_are_checked_there_too(world, api):
    named = {"host": f"{api.rpartition('/')[2]}.execute-api.localhost"}
    assert world.unsigned("GET", "/open", headers=named)[0] == 200
    assert world.unsigned("GET", "/hello", headers=named) == (403, {"message": "Forbidden"})


def test_the_host_header_does_not_choose_another_route(world, api):
    other = {"host": "nobody.execute-api.localhost"}
    assert world.unsigned("GET", f"{api}/open", headers=other)[0] == 200
    assert world.unsigned("GET", f"{api}/hello", headers=other)[0] == 403
    assert world.unsigned("GET", "/open", headers=other)[0] == 404


def test_an_open_route_takes_unsigned_requests(world, api):
    assert world.unsigned("GET", f"{api}/open")[0] == 200


def test_an_unknown_route_and_an_unknown_api_are_not_found(world, api):
    assert world.signed("GET", f"{api}/no/such/route") == (404, {"message": "Not Found"})
    assert world.unsigned("GET", f"{world.aws.api_url('nobody').removeprefix(world.aws.url)}/x")[0] == 404


def test_a_function_that_raises_is_an_internal_server_error_without_details(world, api):
    assert world.signed("GET", f"{api}/raise") == (500, {"message": "Internal Server Error"})


def test_a_status_that_the_function_chose_is_passed_on(world, api):
    status, answer = world.signed("GET", f"{api}/bad-gateway", parse=False)
    assert (status, answer) == (502, b"said so")
