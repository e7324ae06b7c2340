"""The program's consumers that keep copies of changes, all on, each with its real backend beside the endpoint."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import valkey

from local.deploy import deploy
from local.endpoint import Endpoint
from ops.demo.claims import event_id
from ops.demo.evidence import Observer
from ops.demo.receivers import Deployed, servers
from ops.demo.receivers.receiver import user_of
from ops.demo.repeats import repeat
from tests.local.test_deploy import post
from tests.local.test_function_permissions import CALLS
from tests.local.world import wait_until

PROGRAM = Path(__file__).parents[2]
ADA = {"userId": {"S": "u1"}, "email": {"S": "ada@example.com"}, "plan": {"S": "free"}, "version": {"N": "1"}}


@pytest.fixture(scope="module")
def aws() -> Iterator[Endpoint]:
    """An endpoint of this module's own: another module deploys the same stack, which an endpoint takes once."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a real PostgreSQL, as its superuser."""
    with servers.postgresql() as address:
        yield address


@pytest.fixture(scope="module")
def cache() -> Iterator[valkey.Valkey]:
    """A client of a real Valkey that asks for a password."""
    with servers.redis(password="also secret") as client:
        yield client


@pytest.fixture(scope="module")
def outputs(aws: Endpoint, postgresql: str, cache: valkey.Valkey) -> dict[str, Any]:
    """The program's outputs, after a user was created, upgraded by the API and deleted."""
    config = {
        "weir:mailFrom": "read-models@example.com",
        "weir:functionTimeout": "4",
        "weir:auditLog": "true",
        "weir:auditHash": "email",
        "weir:auditHashKey": "pepper",
        "weir:usersByEmail": "true",
        "weir:leaderboard": "true",
        "weir:postgresqlUrl": servers.require_password(postgresql, "weir", "s3cret"),
        "weir:postgresqlPassword": "s3cret",
        "weir:cacheUrl": f"unix://{cache.connection_pool.connection_kwargs['path']}",
        "weir:cachePassword": "also secret",
    }
    outputs = deploy(PROGRAM, "local", aws.connection, config=config, name_seed="read-models").outputs
    users = aws.client("dynamodb")
    users.put_item(TableName=outputs["usersTable"], Item=ADA)
    assert post(aws, f"{outputs['apiUrl']}/users/u1/plan", '{"plan": "pro"}')[0] == 200
    return outputs


def refusal(
    aws: Endpoint, outputs: dict[str, Any], consumer: str, service: str, operation: str, parameters: dict[str, Any]
) -> str:
    """The code of the error that a call by a function with a consumer's role ends with."""
    client, name = aws.client("lambda"), f"{consumer}-tries"
    role = client.get_function(FunctionName=outputs["functionNames"][consumer])["Configuration"]["Role"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("function.py", CALLS)
    with contextlib.suppress(client.exceptions.ResourceConflictException):
        client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="function.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=10,
        )
    event = {"service": service, "operation": operation, "parameters": parameters}
    answer = json.loads(client.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())
    return answer["Code"]


def entries(aws: Endpoint, bucket: str) -> dict[str, Any]:
    s3 = aws.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys}


def test_every_change_is_an_object_of_the_audit_log(aws: Endpoint, outputs: dict[str, Any]) -> None:
    bucket = outputs["auditBucket"]
    wait_until(lambda: len(entries(aws, bucket)) == 2)
    found = entries(aws, bucket)
    table = outputs["usersTable"]
    assert sorted(key.partition("/")[2] for key in found) == [f"{table}/u1/1-INSERT", f"{table}/u1/2-MODIFY"]
    assert all(key.startswith(f"dt={entry['at'][:10]}/") for key, entry in found.items())
    assert "ada@example.com" not in str(found)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("put_object", {"Key": "dt=2026-01-01/x", "Body": "overwritten"}),
        ("put_object", {"Key": "elsewhere", "Body": "x", "IfNoneMatch": "*"}),
        ("delete_object", {"Key": "dt=2026-01-01/x"}),
        ("list_objects_v2", {}),
    ],
)
def test_the_audit_logs_role_overwrites_deletes_and_lists_nothing(
    aws: Endpoint, outputs: dict[str, Any], operation: str, parameters: dict[str, Any]
) -> None:
    call = {"Bucket": outputs["auditBucket"], **parameters}
    assert refusal(aws, outputs, "audit-log", "s3", operation, call) == "AccessDenied"


def rows_by_email(aws: Endpoint, outputs: dict[str, Any]) -> list[tuple[str, str]]:
    rows = aws.client("dynamodb").scan(TableName=outputs["usersByEmailTable"])["Items"]
    return [(row["email"]["S"], row["plan"]["S"]) for row in rows if "deleted" not in row]


def test_a_user_is_found_by_the_address_and_moves_with_it(aws: Endpoint, outputs: dict[str, Any]) -> None:
    users = {"TableName": outputs["usersTable"], "Key": {"userId": {"S": "u2"}}}
    bob = {**users["Key"], "email": {"S": "bob@example.com"}, "plan": {"S": "free"}, "version": {"N": "1"}}
    aws.client("dynamodb").put_item(TableName=users["TableName"], Item=bob)
    assert post(aws, f"{outputs['apiUrl']}/users/u2/plan", '{"plan": "pro"}')[0] == 200
    wait_until(lambda: ("bob@example.com", "pro") in rows_by_email(aws, outputs))
    aws.client("dynamodb").update_item(
        **users,
        UpdateExpression="SET email = :email, version = version + :one",
        ExpressionAttributeValues={":email": {"S": "robert@example.com"}, ":one": {"N": "1"}},
    )
    wait_until(lambda: ("bob@example.com", "pro") not in rows_by_email(aws, outputs))
    assert ("robert@example.com", "pro") in rows_by_email(aws, outputs)


@pytest.mark.parametrize("operation", ["get_item", "delete_item", "scan"])
def test_the_role_of_users_by_email_reads_and_deletes_nothing(
    aws: Endpoint, outputs: dict[str, Any], operation: str
) -> None:
    key = {} if operation == "scan" else {"Key": {"email": {"S": "ada@example.com"}, "userId": {"S": "u1"}}}
    call = {"TableName": outputs["usersByEmailTable"], **key}
    assert refusal(aws, outputs, "users-by-email", "dynamodb", operation, call) == "AccessDeniedException"


def ranked(aws: Endpoint, outputs: dict[str, Any], *users: str) -> list[tuple[str, str]]:
    """The upgrades of these users, the most recent one first: one Query for each day, as readers make it."""
    dynamodb, table = aws.client("dynamodb"), outputs["leaderboardTable"]
    days = {row["day"]["S"] for row in dynamodb.scan(TableName=table)["Items"]}
    rows = [
        row
        for day in sorted(days, reverse=True)
        for row in dynamodb.query(
            TableName=table,
            KeyConditionExpression="#day = :day",
            ExpressionAttributeNames={"#day": "day"},
            ExpressionAttributeValues={":day": {"S": day}},
            ScanIndexForward=False,
        )["Items"]
    ]
    return [(row["userId"]["S"], row["plan"]["S"]) for row in rows if row["userId"]["S"] in users]


def test_upgrades_are_ranked_by_their_time_each_once_however_often_it_comes(
    aws: Endpoint, outputs: dict[str, Any]
) -> None:
    for user in ("b1", "a1"):
        aws.client("dynamodb").put_item(TableName=outputs["usersTable"], Item={**ADA, "userId": {"S": user}})
    for user, plan in (("b1", "pro"), ("a1", "pro"), ("b1", "enterprise"), ("a1", "free")):
        assert post(aws, f"{outputs['apiUrl']}/users/{user}/plan", json.dumps({"plan": plan}))[0] == 200
        # A stream's records are dated by the second, and upgrades of one second are ranked by their user.
        aws.control.advance_clock(1)
    board = [("b1", "enterprise"), ("a1", "pro"), ("b1", "pro")]
    wait_until(lambda: ranked(aws, outputs, "a1", "b1") == board)
    deployed = Deployed(aws, outputs)
    observer = Observer(deployed)
    all_changes = observer.changes()
    wait_until(lambda: {event_id(each) for each in all_changes} <= observer.progress("leaderboard").done)
    changes = [each for each in all_changes if user_of(each) in ("a1", "b1")]
    assert len(changes) == 6
    before = observer.progress("leaderboard").deliveries
    repeat(deployed, "leaderboard", changes)
    wait_until(lambda: observer.progress("leaderboard").deliveries >= before + len(changes))
    assert ranked(aws, outputs, "a1", "b1") == board


@pytest.mark.parametrize("operation", ["get_item", "delete_item", "query"])
def test_the_role_of_the_leaderboard_reads_and_deletes_nothing(
    aws: Endpoint, outputs: dict[str, Any], operation: str
) -> None:
    key = {"day": {"S": "2026-01-31"}, "place": {"S": "12:00:00#u1#2"}}
    call: dict[str, Any] = {"Key": key}
    if operation == "query":
        call = {"KeyConditionExpression": "day = :day", "ExpressionAttributeValues": {":day": key["day"]}}
    table = {"TableName": outputs["leaderboardTable"]}
    assert refusal(aws, outputs, "leaderboard", "dynamodb", operation, {**table, **call}) == "AccessDeniedException"


def test_a_user_has_a_row_in_postgresql(aws: Endpoint, outputs: dict[str, Any], postgresql: str) -> None:
    def plans() -> list[Any]:
        with psycopg.connect(postgresql) as connection:
            if connection.execute("SELECT to_regclass('users')").fetchall() == [(None,)]:
                return []
            return connection.execute("SELECT plan, item->>'email' FROM users WHERE userId = 'u1'").fetchall()

    wait_until(lambda: plans() == [("pro", "ada@example.com")])


@pytest.mark.parametrize(
    ("consumer", "variable"),
    [("read-model-sql", "POSTGRESQL_PASSWORD_SECRET"), ("read-model-cache", "CACHE_PASSWORD_SECRET")],
)
def test_a_servers_password_stands_in_no_functions_environment(
    aws: Endpoint, outputs: dict[str, Any], consumer: str, variable: str
) -> None:
    name = outputs["functionNames"][consumer]
    variables = aws.client("lambda").get_function(FunctionName=name)["Configuration"]["Environment"]["Variables"]
    assert variables[variable].startswith("arn:aws:secretsmanager:")
    assert "secret" not in str({**variables, variable: ""}).replace("SECRET", "")
    assert "s3cret" not in str(variables)


def test_a_user_is_in_the_cache(outputs: dict[str, Any], cache: valkey.Valkey) -> None:
    wait_until(lambda: json.loads(cache.hget("users:u1", "item") or "{}").get("plan") == "pro")


@pytest.mark.parametrize("consumer", ["read-model-sql", "read-model-cache"])
@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("secretsmanager", "get_secret_value", {"SecretId": "another"}),
        ("secretsmanager", "put_secret_value", {"SecretId": "another", "SecretString": "x"}),
        ("dynamodb", "scan", {"TableName": "users"}),
    ],
)
def test_the_role_of_a_read_model_on_a_server_reads_its_own_secret_and_no_more(
    aws: Endpoint, outputs: dict[str, Any], consumer: str, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    code = refusal(aws, outputs, consumer, service, operation, parameters)
    assert code == "AccessDeniedException"
