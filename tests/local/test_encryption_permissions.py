"""Parameter Store and KMS: parameters and keys, and the permissions that a function needs for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.test_function_permissions import ACCOUNT, Caller, refusal

conforms = pytest.mark.conformance
honours = pytest.mark.honours


@pytest.fixture
def caller(world) -> Caller:
    return Caller(world)


@pytest.fixture
def key(world) -> str:
    """The ARN of a key of the test's own; it goes by the alias `alias/<test>` too."""
    kms = world.client("kms")
    made = kms.create_key(
        Description="of a test", KeySpec="SYMMETRIC_DEFAULT", KeyUsage="ENCRYPT_DECRYPT",
        Tags=[{"TagKey": "team", "TagValue": "growth"}],
    )["KeyMetadata"]["Arn"]  # fmt: skip
    kms.create_alias(AliasName=f"alias/{world.name}", TargetKeyId=made)
    return made


def parameter(world, name: str = "") -> str:
    return f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/{world.name}{name}"


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


@honours("ssm:PutParameter", "Name Value Type Overwrite Description DataType Tags")
@honours("ssm:GetParameter", "Name WithDecryption")
@honours("ssm:GetParameters", "Names WithDecryption")
@honours("ssm:GetParametersByPath", "Path Recursive WithDecryption MaxResults NextToken")
@honours("ssm:DeleteParameter", "Name")
@honours("ssm:DeleteParameters", "Names")
@honours("ssm:AddTagsToResource", "ResourceType ResourceId Tags")
@honours("ssm:RemoveTagsFromResource", "ResourceType ResourceId TagKeys")
@honours("ssm:ListTagsForResource", "ResourceType ResourceId")
def test_parameters_are_read_by_name_by_version_and_by_path(world):
    ssm, root = world.client("ssm"), f"/{world.name}"
    named = {"ResourceType": "Parameter", "ResourceId": f"{root}/url"}
    ssm.put_parameter(
        Name=f"{root}/url", Value="one", Type="String", Description="where", DataType="text",
        Tags=[{"Key": "team", "Value": "growth"}],
    )  # fmt: skip
    assert code(ssm.put_parameter, Name=f"{root}/url", Value="two", Type="String") == "ParameterAlreadyExists"
    assert ssm.put_parameter(Name=f"{root}/url", Value="two", Type="String", Overwrite=True)["Version"] == 2
    ssm.put_parameter(Name=f"{root}/deep/token", Value="secret", Type="SecureString")
    ssm.put_parameter(Name=f"{root}/hosts", Value="a,b", Type="StringList")
    assert ssm.get_parameter(Name=f"{root}/url")["Parameter"]["Value"] == "two"
    assert ssm.get_parameter(Name=f"{root}/url:1")["Parameter"]["Value"] == "one"
    assert ssm.get_parameter(Name=f"{root}/deep/token")["Parameter"]["Value"] != "secret"
    decrypted = ssm.get_parameter(Name=f"{root}/deep/token", WithDecryption=True)["Parameter"]
    assert (decrypted["Value"], decrypted["ARN"]) == ("secret", parameter(world, "/deep/token"))
    several = ssm.get_parameters(Names=[f"{root}/deep/token", f"{root}/none"], WithDecryption=True)
    assert [each["Value"] for each in several["Parameters"]] == ["secret"]
    assert several["InvalidParameters"] == [f"{root}/none"]
    pages = ssm.get_paginator("get_parameters_by_path").paginate(
        Path=root, Recursive=True, WithDecryption=True, PaginationConfig={"PageSize": 2}
    )
    assert [[each["Value"] for each in page["Parameters"]] for page in pages] == [["secret", "a,b"], ["two"]]
    assert [each["Value"] for each in ssm.get_parameters_by_path(Path=root)["Parameters"]] == ["a,b", "two"]
    ssm.add_tags_to_resource(**named, Tags=[{"Key": "cost", "Value": "7"}])
    ssm.remove_tags_from_resource(**named, TagKeys=["team"])
    assert ssm.list_tags_for_resource(**named)["TagList"] == [{"Key": "cost", "Value": "7"}]
    ssm.delete_parameter(Name=f"{root}/url")
    assert ssm.delete_parameters(Names=[f"{root}/hosts", f"{root}/url"])["InvalidParameters"] == [f"{root}/url"]
    assert code(ssm.get_parameter, Name=f"{root}/url") == "ParameterNotFound"


def test_a_parameter_is_as_large_as_its_tier_and_its_key_exists(world):
    ssm = world.client("ssm")
    assert code(ssm.put_parameter, Name=world.name, Value="x" * 4097, Type="String") == "ValidationException"
    assert (
        code(ssm.put_parameter, Name=world.name, Value="x", Type="SecureString", KeyId="alias/none") == "InvalidKeyId"
    )
    assert code(ssm.put_parameter, Name=world.name, Value="x", Type="String", KeyId="alias/aws/ssm") == (
        "ValidationException"
    )


@honours("kms:CreateKey", "Policy KeySpec KeyUsage Description Tags")
@honours("kms:CreateAlias", "AliasName TargetKeyId")
@honours("kms:DeleteAlias", "AliasName")
@honours("kms:ListAliases", "KeyId")
@honours("kms:DescribeKey", "KeyId")
@honours("kms:ListResourceTags", "KeyId")
@honours("kms:Encrypt", "KeyId Plaintext EncryptionContext")
@honours("kms:Decrypt", "CiphertextBlob KeyId EncryptionContext")
@honours("kms:GenerateDataKey", "KeyId KeySpec NumberOfBytes EncryptionContext")
@honours("kms:GetKeyPolicy", "KeyId")
@honours("kms:PutKeyPolicy", "KeyId Policy")
@honours("kms:DisableKey", "KeyId")
@honours("kms:EnableKey", "KeyId")
@honours("kms:ScheduleKeyDeletion", "KeyId PendingWindowInDays")
def test_a_key_encrypts_for_its_context_until_it_is_disabled(world, key):
    kms, alias = world.client("kms"), f"alias/{world.name}"
    context = {"tenant": "a"}
    sealed = kms.encrypt(KeyId=alias, Plaintext=b"hello", EncryptionContext=context)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed, KeyId=key, EncryptionContext=context)["Plaintext"] == b"hello"
    assert code(kms.decrypt, CiphertextBlob=sealed) == "InvalidCiphertextException"
    data = kms.generate_data_key(KeyId=key, KeySpec="AES_128", EncryptionContext=context)
    assert (
        kms.decrypt(CiphertextBlob=data["CiphertextBlob"], EncryptionContext=context)["Plaintext"]
        == (data["Plaintext"])
    )
    assert len(kms.generate_data_key(KeyId=key, NumberOfBytes=24)["Plaintext"]) == 24
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"] == key
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "team", "TagValue": "growth"}]
    assert [each["AliasName"] for each in kms.list_aliases(KeyId=key)["Aliases"]] == [alias]
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    kms.put_key_policy(KeyId=key, Policy=json.dumps({**policy, "Id": "mine"}))
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Id"] == "mine"
    kms.disable_key(KeyId=key)
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "DisabledException"
    kms.enable_key(KeyId=key)
    kms.delete_alias(AliasName=alias)
    assert code(kms.encrypt, KeyId=alias, Plaintext=b"x") == "NotFoundException"
    own = kms.create_key(Policy=json.dumps({**policy, "Id": "own"}))["KeyMetadata"]["Arn"]
    assert json.loads(kms.get_key_policy(KeyId=own)["Policy"])["Id"] == "own"
    for each in (key, own):
        kms.schedule_key_deletion(KeyId=each, PendingWindowInDays=7)
        assert code(kms.encrypt, KeyId=each, Plaintext=b"x") == "KMSInvalidStateException"


@conforms("IAM-13", "documented")
def test_iam_13_a_parameter_is_refused_by_its_name_and_its_path(world, caller):
    ssm, name = world.client("ssm"), f"/{world.name}/url"
    ssm.put_parameter(Name=name, Value="one", Type="String")

    def lacks(operation, action, resource, **parameters):
        answer = caller.call("ssm", operation, **parameters)
        assert (answer["Code"], answer["status"]) == ("AccessDeniedException", 400), answer
        assert answer["Message"] == refusal(caller, action, resource)

    lacks("get_parameter", "ssm:GetParameter", parameter(world, "/url"), Name=name)
    lacks("get_parameters", "ssm:GetParameters", parameter(world, "/url"), Names=[name])
    lacks("get_parameters_by_path", "ssm:GetParametersByPath", parameter(world), Path=f"/{world.name}")
    lacks("put_parameter", "ssm:PutParameter", parameter(world, "/url"), Name=name, Value="v", Overwrite=True)
    caller.may("ssm:GetParameter", resource=parameter(world, "/*"))
    assert caller.call("ssm", "get_parameter", Name=f"{name}:1")["Parameter"]["Value"] == "one"


@conforms("IAM-19", "documented")
@honours("ssm:PutParameter", "KeyId")
def test_iam_19_a_secure_string_of_a_customer_managed_key_needs_the_key_as_well(world, caller, key):
    ssm, name = world.client("ssm"), f"/{world.name}/token"
    ssm.put_parameter(Name=f"/{world.name}/own", Value="mine", Type="SecureString")
    ssm.put_parameter(Name=name, Value="secret", Type="SecureString", KeyId=f"alias/{world.name}")
    caller.may("ssm:Get*", "ssm:PutParameter", resource=[parameter(world), parameter(world, "/*")])
    # The account's own key lets in everyone who comes by Parameter Store.
    own = caller.call("ssm", "get_parameter", Name=f"/{world.name}/own", WithDecryption=True)
    assert own["Parameter"]["Value"] == "mine"
    assert "Parameter" in caller.call("ssm", "get_parameter", Name=name)
    reads = {
        "get_parameter": {"Name": name},
        "get_parameters": {"Names": [name]},
        "get_parameters_by_path": {"Path": f"/{world.name}"},
    }
    for operation, parameters in reads.items():
        refused = caller.call("ssm", operation, **parameters, WithDecryption=True)
        assert refused["Message"] == refusal(caller, "kms:Decrypt", key)
    written = {"Name": name, "Value": "v", "Type": "SecureString", "Overwrite": True, "KeyId": key}
    assert caller.call("ssm", "put_parameter", **written)["Message"] == refusal(caller, "kms:Encrypt", key)
    by_parameter_store = {
        "StringEquals": {
            "kms:ViaService": "ssm.us-east-1.amazonaws.com",
            "kms:EncryptionContext:PARAMETER_ARN": parameter(world, "/token"),
        }
    }
    world.allow(
        world.name,
        {"Effect": "Allow", "Action": "ssm:Get*", "Resource": "*"},
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": by_parameter_store},
    )
    assert caller.call("ssm", "get_parameter", Name=name, WithDecryption=True)["Parameter"]["Value"] == "secret"


@conforms("IAM-19", "documented")
def test_iam_19_a_key_is_used_by_whom_its_own_policy_lets_in(world, caller, key):
    kms, data = world.client("kms"), {"KeyId": key, "KeySpec": "AES_256"}
    # The default policy names the account, whose roles' policies then decide.
    refused = caller.call("kms", "generate_data_key", **data)
    assert (refused["Code"], refused["status"]) == ("AccessDeniedException", 400)
    assert refused["Message"] == refusal(caller, "kms:GenerateDataKey", key)
    caller.may("kms:GenerateDataKey", resource=key)
    assert "CiphertextBlob" in caller.call("kms", "generate_data_key", **data)
    statement = {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::1:root"}}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    why = "because no resource-based policy allows the kms:GenerateDataKey action"
    assert caller.call("kms", "generate_data_key", **data)["Message"] == (
        refusal(caller, "kms:GenerateDataKey", key, why)
    )
    statement["Principal"] = {"AWS": caller.role}
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    caller.may("sts:GetCallerIdentity")
    assert "CiphertextBlob" in caller.call("kms", "generate_data_key", **data)


def test_a_secret_is_judged_by_its_arn_though_it_is_called_by_its_name(world, caller):
    secrets = world.client("secretsmanager")
    secret = secrets.create_secret(Name=world.name)["ARN"]
    secrets.put_secret_value(SecretId=secret, SecretString="s")
    refused = caller.call("secretsmanager", "get_secret_value", SecretId=world.name)
    assert refused["Message"] == refusal(caller, "secretsmanager:GetSecretValue", secret)
    caller.may("secretsmanager:GetSecretValue", resource=secret)
    assert caller.call("secretsmanager", "get_secret_value", SecretId=world.name)["SecretString"] == "s"
