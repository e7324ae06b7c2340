"""Consumers whose backends are servers: their addresses, secrets, packages and VPC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.everything import EVERYTHING, install_nothing

ENCRYPTED = "postgresql://weir@db.example.com/app?sslmode=require"
DOMAIN = "https://search-users-abc.eu-central-1.es.amazonaws.com"
DOMAIN_ARN = "arn:aws:es:eu-central-1:123456789012:domain/users"
POSTGRESQL = {"weir:postgresqlUrl": ENCRYPTED, "weir:postgresqlPassword": "s3cret"}


LOCKS = {
    "read-model-sql": "requirements/postgresql.txt",
    "read-model-cache": "requirements/redis.txt",
    "search-index": "requirements/search.txt",
}


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_nothing(monkeypatch, tmp_path)


@pytest.mark.parametrize(("consumer", "lock"), LOCKS.items())
def test_a_consumer_has_its_packages_and_joins_the_vpc(configured, consumer: str, lock: str) -> None:
    run = configured("dev", EVERYTHING)
    function = run.one("Function", consumer).inputs
    assert function["vpcConfig"] == {"subnetIds": ["subnet-0a1b", "subnet-0c2d"], "securityGroupIds": ["sg-0a1b2c3d"]}
    (layer,) = [each for each in run.all("LayerVersion") if each.inputs["description"].startswith(f"{lock}: ")]
    assert function["layers"] == [f"arn:aws:lambda:eu-central-1:123456789012:layer:{layer.name}:1"]
    assert set(run.outputs["consumers"][consumer]["alarms"]) == set(run.outputs["consumers"]["welcome-email"]["alarms"])


def test_no_consumer_of_an_aws_service_joins_the_vpc(configured) -> None:
    run = configured("dev", EVERYTHING)
    assert "vpcConfig" not in run.one("Function", "welcome-email").inputs


def test_the_database_may_be_reached_with_its_own_secret_and_nothing_else(configured) -> None:
    run = configured("dev", POSTGRESQL)
    reads = [each for each in run.statements("read-model-sql") if "secretsmanager" in str(each)]
    assert reads == [
        {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": "postgresql-password-id"}
    ]
    assert "s3cret" not in str(run.one("Function", "read-model-sql").inputs)


def test_one_index_of_the_domain_may_be_made_and_written_and_nothing_may_be_read_or_deleted(configured) -> None:
    run = configured("dev", {"weir:searchUrl": DOMAIN, "weir:searchDomainArn": DOMAIN_ARN})
    index = f"{DOMAIN_ARN}/users-v1"
    assert [each for each in run.statements("search-index") if "es:ESHttp" in str(each["Action"])] == [
        {"Effect": "Allow", "Action": ["es:ESHttpPut"], "Resource": index},
        {"Effect": "Allow", "Action": ["es:ESHttpPost", "es:ESHttpPut"], "Resource": f"{index}/_bulk"},
    ]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"weir:postgresqlUrl": ENCRYPTED}, "weir:postgresqlPassword is missing, and postgresqlUrl is set: run  "),
        (
            {**POSTGRESQL, "weir:postgresqlUrl": "postgresql://weir:pw@db/app?sslmode=require"},
            "weir:postgresqlUrl holds a password, which would stand in a function's environment: take it away, and ",
        ),
        (
            {**POSTGRESQL, "weir:postgresqlUrl": "postgresql://weir@db.example.com/app"},
            "weir:postgresqlUrl is 'postgresql://weir@db.example.com/app', whose data would travel in clear: write ",
        ),
        (
            {**POSTGRESQL, "weir:postgresqlUrl": "postgresql://weir@db/app?sslmode=prefer"},
            "weir:postgresqlUrl is 'postgresql://weir@db/app?sslmode=prefer', whose data would travel in clear: ",
        ),
        (
            {**POSTGRESQL, "weir:postgresqlUrl": "mysql://weir@db/app"},
            "weir:postgresqlUrl is 'mysql://weir@db/app': write postgresql://",
        ),
        ({**POSTGRESQL, "weir:fanOut": "false"}, "weir:postgresqlUrl is set, and fanOut is false: "),
        (
            {"weir:cacheUrl": "redis://cache.example.com:6379"},
            "weir:cacheUrl is 'redis://cache.example.com:6379', whose data would travel in clear: write rediss://",
        ),
        (
            {"weir:cacheUrl": "rediss://:pw@cache.example.com:6379"},
            "weir:cacheUrl holds a password, which would ",
        ),
        (
            {"weir:searchUrl": "http://search.example.com"},
            "weir:searchUrl is 'http://search.example.com', whose data would travel in clear: write https://",
        ),
        (
            {"weir:searchUrl": DOMAIN},
            "weir:searchDomainArn is missing, and searchUrl is a domain of AWS: run  ",
        ),
        (
            {"weir:searchUrl": DOMAIN, "weir:searchDomainArn": "users"},
            "weir:searchDomainArn is 'users': write arn:aws:es:",
        ),
        ({"weir:cachePassword": "pw"}, "weir:cachePassword is set, and cacheUrl is not, so that nothing uses it: "),
        ({"weir:vpcSubnetIds": "subnet-0a1b"}, "weir:vpcSecurityGroupIds is '': a VPC needs both keys; write sg-0a1b"),
        (
            {"weir:vpcSubnetIds": "mine", "weir:vpcSecurityGroupIds": "sg-0a1b"},
            "weir:vpcSubnetIds is 'mine': a VPC needs both keys; write subnet-0a1b,subnet-0c2d",
        ),
    ],
)
def test_an_address_that_cannot_be_right_is_one_line(configured, overrides: Any, line: str) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        configured("dev", overrides)
    assert str(refused.value).startswith(f"Pulumi.dev.yaml: {line}")


@pytest.mark.parametrize(
    "url", ["postgresql://weir@127.0.0.1:5432/app", "postgresql://weir@/app?host=/run/postgresql", ENCRYPTED]
)
def test_a_database_on_this_machine_needs_no_encryption(configured, url: str) -> None:
    run = configured("dev", {**POSTGRESQL, "weir:postgresqlUrl": url})
    assert run.one("Function", "read-model-sql").inputs["environment"]["variables"]["POSTGRESQL_URL"] == url
