"""Secrets Manager on the endpoint: secrets, their values and stages."""

from __future__ import annotations

import pytest

honours = pytest.mark.honours


@honours("secretsmanager:CreateSecret", "Name SecretString ClientRequestToken Description")
@honours("secretsmanager:GetSecretValue", "SecretId VersionId VersionStage")
@honours("secretsmanager:DescribeSecret", "SecretId")
@honours("secretsmanager:PutSecretValue", "SecretId SecretString ClientRequestToken")
def test_a_new_value_replaces_the_current_one_which_can_still_be_read(world):
    secrets = world.client("secretsmanager")
    tokens = [f"{number}" * 32 for number in (1, 2)]
    made = secrets.create_secret(
        Name=world.name, Description="what it opens", SecretString="first", ClientRequestToken=tokens[0]
    )
    assert made["VersionId"] == tokens[0]
    assert secrets.describe_secret(SecretId=made["ARN"])["Description"] == "what it opens"
    put = secrets.put_secret_value(SecretId=made["ARN"], SecretString="second", ClientRequestToken=tokens[1])
    assert put["VersionId"] == tokens[1]
    assert secrets.get_secret_value(SecretId=made["ARN"])["SecretString"] == "second"
    assert secrets.get_secret_value(SecretId=world.name, VersionId=tokens[0])["SecretString"] == "first"
    assert secrets.get_secret_value(SecretId=world.name, VersionStage="AWSPREVIOUS")["SecretString"] == "first"


@honours("secretsmanager:UpdateSecret", "SecretId Description ClientRequestToken")
def test_a_description_is_changed_and_the_value_is_not(world):
    secrets = world.client("secretsmanager")
    secrets.create_secret(Name=world.name, SecretString="value")
    secrets.update_secret(SecretId=world.name, Description="another one")
    assert secrets.describe_secret(SecretId=world.name)["Description"] == "another one"
    assert secrets.get_secret_value(SecretId=world.name)["SecretString"] == "value"


@honours("secretsmanager:DeleteSecret", "SecretId RecoveryWindowInDays")
def test_a_deleted_secret_cannot_be_read_and_keeps_its_name_while_it_can_come_back(world):
    secrets = world.client("secretsmanager")
    secrets.create_secret(Name=world.name, SecretString="value")
    secrets.delete_secret(SecretId=world.name, RecoveryWindowInDays=7)
    with pytest.raises(secrets.exceptions.InvalidRequestException):
        secrets.get_secret_value(SecretId=world.name)
    with pytest.raises(secrets.exceptions.ClientError):
        secrets.create_secret(Name=world.name, SecretString="another one")


@honours("secretsmanager:DeleteSecret", "ForceDeleteWithoutRecovery")
def test_a_secret_deleted_at_once_frees_its_name(world):
    secrets = world.client("secretsmanager")
    secrets.create_secret(Name=world.name, SecretString="value")
    secrets.delete_secret(SecretId=world.name, ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name=world.name, SecretString="another one")
    assert secrets.get_secret_value(SecretId=world.name)["SecretString"] == "another one"
