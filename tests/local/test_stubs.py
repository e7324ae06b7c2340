"""Resources and look-ups of others, stood in for on this machine when the stack's file names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.deploy import DeployFailed, deploy
from local.deploy.stubs import Stubs
from local.endpoint import Endpoint

MAIN = """
import pulumi
import pulumi_aws as aws

certificate = aws.acm.Certificate("crm", domain_name="crm.example.com")
vpc = aws.ec2.get_vpc_output(default=True)
network = pulumi.StackReference("organization/network/prod")
pulumi.export("certificate", certificate.arn)
pulumi.export("name", certificate.domain_name)
pulumi.export("vpc", vpc.cidr_block)
pulumi.export("subnet", network.require_output("subnetIds")[0])
"""

STUBS: dict[str, Any] = {
    "aws:acm/certificate:Certificate::crm": {},
    "aws:ec2/getVpc:getVpc": {"id": "vpc-1", "cidrBlock": "10.0.0.0/16"},
    "pulumi:pulumi:StackReference::organization/network/prod": {"subnetIds": ["subnet-1"]},
}


def deployed(directory: Path, stubs: dict[str, Any], aws: Endpoint) -> dict[str, Any]:
    (directory / "Pulumi.yaml").write_text(
        "name: shop\nruntime: python\nconfig:\n  localStubs: {type: object, default: {}}\n"
    )
    config = {"aws:region": "us-east-1", "shop:localStubs": stubs}
    (directory / "Pulumi.local.yaml").write_text(json.dumps({"config": config}))
    (directory / "__main__.py").write_text(MAIN)
    return dict(deploy(directory, "local", aws.connection).outputs)


@pytest.mark.parametrize("missing", sorted(STUBS))
def test_without_a_stub_the_refusal_shows_the_line_to_add(tmp_path: Path, missing: str, aws: Endpoint) -> None:
    with pytest.raises(DeployFailed) as refused:
        deployed(tmp_path, {token: outputs for token, outputs in STUBS.items() if token != missing}, aws)
    assert f"add  {missing}: {{}}  to shop:localStubs in the stack's file" in str(refused.value)


def test_with_stubs_the_program_is_deployed_and_reads_what_the_file_says(tmp_path: Path, aws: Endpoint) -> None:
    outputs = deployed(tmp_path, STUBS, aws)
    arn = "arn:aws:acm:us-east-1:111122223333:crm"
    assert outputs == {"certificate": arn, "name": "crm.example.com", "vpc": "10.0.0.0/16", "subnet": "subnet-1"}


def test_a_stub_is_of_one_resource_or_of_a_whole_type() -> None:
    stubs = Stubs.of("shop", {"shop:localStubs": '{"t": {"a": 1}, "t::one": {"a": 2}, "u": null}'})
    assert (stubs.resource("t", "one"), stubs.resource("t", "two"), stubs.resource("u", "x")) == (
        {"a": 2},
        {"a": 1},
        {},
    )
    assert stubs.resource("v", "x") is None


@pytest.mark.parametrize("value", ['["t"]', '{"t": 1}'])
def test_stubs_are_an_object_of_objects(value: str) -> None:
    with pytest.raises(ValueError, match="write an object of type tokens, each with an object of outputs"):
        Stubs.of("shop", {"shop:localStubs": value})
