"""Secrets Manager on the endpoint: secrets, their values and stages."""

from __future__ import annotations

import pytest

honours = pytest.mark.honours


def secret(world, value="value"):
    secrets = world.client("secretsmanager")
    secrets.create_secret(Name=world.name, Description="what it opens", ClientRequestToken="0" * 32)
    secrets.put_secret_value(SecretId=world.name, SecretString=value, ClientRequestToken="1" * 32)
    return secrets


@honours("secretsmanager:CreateSecret", "Name ClientRequestToken Description")
@honours("secretsmanager:GetSecretValue", "SecretId VersionId VersionStage")
@honours("secretsmanager:DescribeSecret", "SecretId")
@honours("secretsmanager:PutSecretValue", "SecretId SecretString ClientRequestToken")
def test_a_new_value_replaces_the_current_one_which_can_still_be_read(world):
    secrets = secret(world, "first")
    described = secrets.describe_secret(SecretId=world.name)
    assert described["Description"] == "what it opens"
    put = secrets.put_secret_value(SecretId=described["ARN"], SecretString="second", ClientRequestToken="2" * 32)
    assert put["VersionId"] == "2" * 32
    assert secrets.get_secret_value(SecretId=described["ARN"])["SecretString"] == "second"
    assert secrets.get_secret_value(SecretId=world.name, VersionId="1" * 32)["SecretString"] == "first"
    assert secrets.get_secret_value(SecretId=world.name, VersionStage="AWSPREVIOUS")["SecretString"] == "first"


@honours("secretsmanager:UpdateSecret", "SecretId Description ClientRequestToken")
def test_a_description_is_changed_and_the_value_is_not(world):
    secrets = secret(world)
    secrets.update_secret(SecretId=world.name, Description="another one", ClientRequestToken="3" * 32)
    assert secrets.describe_secret(SecretId=world.name)["Description"] == "another one"
    assert secrets.get_secret_value(SecretId=world.name)["SecretString"] == "value"


@honours("secretsmanager:DeleteSecret", "SecretId RecoveryWindowInDays")
def test_a_deleted_secret_cannot_be_read_and_keeps_its_name_while_it_can_come_back(world):
    secrets = secret(world)
    secrets.delete_secret(SecretId=world.name, RecoveryWindowInDays=7)
    with pytest.raises(secrets.exceptions.InvalidRequestException):
        secrets.get_secret_value(SecretId=world.name)
    with pytest.raises(secrets.exceptions.ClientError):
        secrets.create_secret(Name=world.name)


@honours("secretsmanager:DeleteSecret", "ForceDeleteWithoutRecovery")
def test_a_secret_deleted_at_once_frees_its_name(world):
    secrets = secret(world)
    secrets.delete_secret(SecretId=world.name, ForceDeleteWithoutRecovery=True)
    assert secret(world, "another one").get_secret_value(SecretId=world.name)["SecretString"] == "another one"
