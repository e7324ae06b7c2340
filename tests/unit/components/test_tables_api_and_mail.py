"""`ChangeTable`, `EffectLedgerTable`, `EmailSender`, `HttpApi` and `PythonFunction`: what they make and refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from components import (
    ChangeTable,
    EffectLedgerTable,
    EmailSender,
    FunctionSettings,
    GlobalIndex,
    HttpApi,
    JwtAuthorization,
    LocalIndex,
    ProvisionedCapacity,
    PythonFunction,
    Refused,
    Vpc,
)
from tests.reference import upgrade_api

ENTRY_POINT = "handlers.welcome_email.handler"


def test_a_table_is_recoverable_encrypted_protected_and_tells_both_images(run) -> None:
    table = run(lambda: ChangeTable("users", hash_key="userId")).one("Table")
    assert table.inputs == {
        "billingMode": "PAY_PER_REQUEST",
        "hashKey": "userId",
        "attributes": [{"name": "userId", "type": "S"}],
        "streamEnabled": True,
        "streamViewType": "NEW_AND_OLD_IMAGES",
        "pointInTimeRecovery": {"enabled": True},
        "serverSideEncryption": {"enabled": True},
        "deletionProtectionEnabled": True,
    }


def test_a_table_takes_a_sort_key_an_expiry_and_another_view(run) -> None:
    def program() -> None:
        ChangeTable(
            "events",
            hash_key="day",
            hash_key_type="N",
            range_key="at",
            range_key_type="B",
            stream_view_type="KEYS_ONLY",
            ttl_attribute="expiresAt",
            point_in_time_recovery=False,
            deletion_protection=False,
        )

    inputs = run(program).one("Table").inputs
    assert (inputs["hashKey"], inputs["rangeKey"]) == ("day", "at")
    assert inputs["attributes"] == [{"name": "day", "type": "N"}, {"name": "at", "type": "B"}]
    assert inputs["streamViewType"] == "KEYS_ONLY"
    assert inputs["ttl"] == {"attributeName": "expiresAt", "enabled": True}
    assert inputs["pointInTimeRecovery"] == {"enabled": False}
    assert inputs["deletionProtectionEnabled"] is False


@pytest.mark.parametrize("view", ["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"])
def test_a_table_takes_every_view_type(run, view: Any) -> None:
    done = run(lambda: ChangeTable("users", hash_key="userId", stream_view_type=view))
    assert done.one("Table").inputs["streamViewType"] == view


def test_replicas_are_as_recoverable_and_protected_as_their_table(run) -> None:
    done = run(lambda: ChangeTable("users", hash_key="userId", replica_regions=["eu-west-1"]))
    assert done.one("Table").inputs["replicas"] == [
        {"regionName": "eu-west-1", "pointInTimeRecovery": True, "deletionProtectionEnabled": True}
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stream_view_type": "IMAGES"}, "users: stream_view_type='IMAGES' is not one of NEW_AND_OLD_IMAGES, "),
        (
            {"stream_view_type": "NEW_IMAGE", "replica_regions": ["eu-west-1"]},
            "DynamoDB replicates by the stream and takes replicas only with NEW_AND_OLD_IMAGES; leave it at",
        ),
        (
            {"kms_key_arn": "arn:aws:kms:eu-central-1:1:key/1", "replica_regions": ["eu-west-1"]},
            "DynamoDB wants a key in each region, and one alone cannot encrypt the replicas; leave the key out",
        ),
    ],
)
def test_a_table_that_dynamodb_would_refuse_is_refused(run, options: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(lambda: ChangeTable("users", hash_key="userId", **options))


def test_a_table_takes_indexes_and_provisioned_capacity(run) -> None:
    def program() -> None:
        ChangeTable(
            "events",
            hash_key="day",
            range_key="at",
            global_indexes={
                "by-user": GlobalIndex(
                    hash_key="userId",
                    range_key="at",
                    attributes=["plan"],
                    capacity=ProvisionedCapacity(read=2, write=3),
                ),
                "by-kind": GlobalIndex(
                    hash_key="kind", hash_key_type="N", capacity=ProvisionedCapacity(read=1, write=1)
                ),
            },
            local_indexes={"by-size": LocalIndex(range_key="size", range_key_type="N", attributes=())},
            capacity=ProvisionedCapacity(read=4, write=5),
        )

    done = run(program)
    inputs = done.one("Table").inputs
    assert (inputs["billingMode"], inputs["readCapacity"], inputs["writeCapacity"]) == ("PROVISIONED", 4, 5)
    assert inputs["attributes"] == [
        {"name": "day", "type": "S"},
        {"name": "at", "type": "S"},
        {"name": "userId", "type": "S"},
        {"name": "kind", "type": "N"},
        {"name": "size", "type": "N"},
    ]
    assert inputs["globalSecondaryIndexes"] == [
        {
            "name": "by-user",
            "hashKey": "userId",
            "rangeKey": "at",
            "projectionType": "INCLUDE",
            "nonKeyAttributes": ["plan"],
            "readCapacity": 2,
            "writeCapacity": 3,
        },
        {"name": "by-kind", "hashKey": "kind", "projectionType": "ALL", "readCapacity": 1, "writeCapacity": 1},
    ]
    assert inputs["localSecondaryIndexes"] == [{"name": "by-size", "rangeKey": "size", "projectionType": "KEYS_ONLY"}]


def test_the_stream_of_an_indexed_table_is_read_by_the_table_s_own_keys(run) -> None:
    def program() -> None:
        table = ChangeTable("users", hash_key="userId", global_indexes={"by-email": GlobalIndex(hash_key="email")})
        assert table.stream.keys == {"userId": "S"}

    run(program)


def test_further_arguments_reach_the_table(run) -> None:
    further = {"name": "users-of-today", "tags": {"team": "growth"}, "table_class": "STANDARD_INFREQUENT_ACCESS"}
    inputs = run(lambda: ChangeTable("users", hash_key="userId", arguments=further)).one("Table").inputs
    assert (inputs["name"], inputs["tags"]) == ("users-of-today", {"team": "growth"})
    assert inputs["tableClass"] == "STANDARD_INFREQUENT_ACCESS"


CAPACITY = ProvisionedCapacity(read=1, write=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"arguments": {"stream_enabled": False}},
            "users: arguments sets stream_enabled: without its stream a ChangeTable has no changes to read; ",
        ),
        (
            {"arguments": {"stream_view_type": "KEYS_ONLY"}},
            r"which would undo what ChangeTable says of it: use its own argument instead \(stream_view_type\)",
        ),
        ({"arguments": {"billing_mode": "PROVISIONED"}}, r"use its own argument instead \(capacity\)"),
        ({"arguments": {"point_in_time_recovery": {"enabled": False}}}, "use its own argument instead"),
        ({"arguments": {"tableClass": "STANDARD"}}, "which aws.dynamodb.Table does not have: did you mean table_class"),
        ({"arguments": {"xyz": 1}}, "which aws.dynamodb.Table does not have; see its page in the Pulumi registry"),
        ({"local_indexes": {"a": LocalIndex(range_key="at")}}, "local_indexes on a table without a range_key"),
        (
            {
                "range_key": "at",
                "local_indexes": {"a": LocalIndex(range_key="x")},
                "global_indexes": {"a": GlobalIndex(hash_key="x")},
            },
            "a names a global and a local index",
        ),
        ({"capacity": CAPACITY, "replica_regions": ["eu-west-1"]}, "needs auto scaling, which this component does not"),
        (
            {"capacity": CAPACITY, "global_indexes": {"a": GlobalIndex(hash_key="x")}},
            "the index a lacks a capacity and the table has one: both are provisioned, or both are on demand",
        ),
        (
            {"global_indexes": {"a": GlobalIndex(hash_key="x", capacity=CAPACITY)}},
            "the index a has a capacity and the table lacks one",
        ),
        (
            {"global_indexes": {"a": GlobalIndex(hash_key="userId", hash_key_type="N")}},
            "the key attribute userId is S in one place and N in another",
        ),
    ],
)
def test_indexes_and_arguments_that_break_the_table_are_refused(run, options: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(lambda: ChangeTable("users", hash_key="userId", **options))


def test_capacity_has_at_least_one_unit() -> None:
    with pytest.raises(Refused, match="DynamoDB provisions at least 1 unit of each"):
        ProvisionedCapacity(read=0, write=1)


def test_a_function_takes_tracing_layers_a_vpc_and_a_permissions_boundary(run) -> None:
    settings = FunctionSettings(
        tracing=True,
        layers=["arn:aws:lambda:eu-central-1:123456789012:layer:search:3"],
        vpc=Vpc(subnet_ids=["subnet-1", "subnet-2"], security_group_ids=["sg-1"]),
        permissions_boundary="arn:aws:iam::123456789012:policy/boundary",
    )
    done = run(lambda: PythonFunction("f", entry_point=ENTRY_POINT, settings=settings))
    function = done.one("Function").inputs
    assert function["tracingConfig"] == {"mode": "Active"}
    assert function["layers"] == ["arn:aws:lambda:eu-central-1:123456789012:layer:search:3"]
    assert function["vpcConfig"] == {"subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]}
    assert done.one("Role").inputs["permissionsBoundary"] == "arn:aws:iam::123456789012:policy/boundary"
    granted = [action for statement in done.statements("f") for action in statement["Action"]]
    assert {"xray:PutTraceSegments", "ec2:CreateNetworkInterface"} <= set(granted)


def test_the_ledger_has_the_key_and_the_expiry_that_the_runtime_uses(run) -> None:
    inputs = run(lambda: EffectLedgerTable("effects")).one("Table").inputs
    assert inputs["hashKey"] == "effectKey"
    assert inputs["ttl"] == {"attributeName": "expiresAt", "enabled": True}
    assert inputs["pointInTimeRecovery"] == {"enabled": True}
    assert inputs["deletionProtectionEnabled"] is True
    assert inputs["tags"] == {"weir:role": "effect-ledger"}
    assert "streamEnabled" not in inputs


@pytest.mark.parametrize(
    ("mail_from", "identity", "message"),
    [
        ("nobody", None, "mail: mail_from='nobody' is not an email address, and SES sends from nothing else"),
        ("@example.com", None, "is not an email address"),
        ("a@example.org", "example.com", "is not in the domain example.com, so SES would refuse every mail"),
        ("a@notexample.com", "example.com", "is not in the domain example.com"),
    ],
)
def test_an_address_that_ses_would_refuse_is_refused(run, mail_from: str, identity: str | None, message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(lambda: EmailSender("mail", mail_from=mail_from, identity=identity))


def api(*routes: str, **options: Any) -> Callable[[], object]:
    def program() -> None:
        made = HttpApi("api")
        for number, key in enumerate(routes):
            made.route(key, upgrade_api.handler, **{"name": f"route-{number}", **options})

    return program


def test_an_api_has_no_public_route(run) -> None:
    done = run(api("POST /users/{userId}/plan"))
    assert done.one("Route").inputs == {
        "apiId": "api-id",
        "routeKey": "POST /users/{userId}/plan",
        "target": "integrations/route-0-id",
        "authorizationType": "AWS_IAM",
    }
    assert done.one("Integration").inputs == {
        "apiId": "api-id",
        "integrationType": "AWS_PROXY",
        "integrationUri": "invoke:route-0",
        "payloadFormatVersion": "2.0",
    }
    assert done.one("Stage").inputs == {"apiId": "api-id", "name": "$default", "autoDeploy": True}


def test_an_api_for_browsers_takes_tokens_of_one_issuer(run) -> None:
    def program() -> None:
        made = HttpApi("api", authorization=JwtAuthorization("https://login.example.com", ("weir",)))
        made.route("GET /users", upgrade_api.handler)

    done = run(program)
    assert done.one("Authorizer").inputs["jwtConfiguration"] == {
        "issuer": "https://login.example.com",
        "audiences": ["weir"],
    }
    route = done.one("Route").inputs
    assert (route["authorizationType"], route["authorizerId"]) == ("JWT", "api-id")


def test_a_route_for_any_method_may_be_called_with_any(run) -> None:
    done = run(api("ANY /users"))
    assert done.one("Permission").inputs["sourceArn"].endswith(":api/*/*/users")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (api("users"), "'users' is not a route key: write a method and a path, as in 'GET /users'"),
        (api("GET users"), "'GET users' is not a route key"),
        (api("GET /users", "GET /users"), "GET /users is routed twice on api: one function answers a route"),
        (api("GET /users", "PUT /users", name="users"), "users answers another route of api: give this one a name"),
        (
            api("GET /users", settings=FunctionSettings(timeout=31)),
            "an HTTP API answers 503 after 30 s while the function goes on: lower it",
        ),
        (lambda: JwtAuthorization("http://login.example.com", ("weir",)), "is not an https URL, and API Gateway takes"),
        (lambda: JwtAuthorization("https://login.example.com", ()), "audience is empty: every token of the issuer"),
        (
            lambda: PythonFunction("f", entry_point=ENTRY_POINT, settings=FunctionSettings(timeout=0)),
            "f: timeout=0 is not what Lambda takes: choose 1 to 900 seconds",
        ),
        (
            lambda: PythonFunction("f", entry_point=ENTRY_POINT, settings=FunctionSettings(memory_size=10_241)),
            "f: memory_size=10241 is not what Lambda takes: choose 128 to 10240 MB",
        ),
        (
            lambda: PythonFunction("f", entry_point=ENTRY_POINT, settings=FunctionSettings(log_retention_in_days=31)),
            "f: log_retention_in_days=31 is not a period that CloudWatch Logs takes: choose one of 1, 3, 5, ",
        ),
    ],
)
def test_an_api_or_function_that_cannot_work_is_refused(run, program: Callable[[], object], message: str) -> None:
    with pytest.raises(Refused) as refused:
        run(program)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
