"""Settings of a function that its role, its log group and its variables follow."""

from __future__ import annotations

from components import FunctionSettings, PythonFunction, parameter_access
from tests.reference import welcome_email  # noqa: F401 - deployed by name

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter/crm/url"


def test_a_customer_managed_key_encrypts_variables_and_logs_and_the_role_may_decrypt(run) -> None:
    settings = FunctionSettings(kms_key_arn=KEY, tags={"team": "growth"})
    done = run(lambda: PythonFunction("mail", entry_point="tests.reference.welcome_email.handler", settings=settings))
    function, logs, role = done.one("Function").inputs, done.one("LogGroup").inputs, done.one("Role").inputs
    assert (function["kmsKeyArn"], logs["kmsKeyId"]) == (KEY, KEY)
    assert function["tags"] == logs["tags"] == role["tags"] == {"team": "growth"}
    assert {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEY} in done.statements("mail")


def test_without_a_key_and_tags_nothing_names_them(run) -> None:
    done = run(lambda: PythonFunction("mail", entry_point="tests.reference.welcome_email.handler"))
    assert not {"kmsKeyArn", "tags"} & done.one("Function").inputs.keys()
    assert not {"kmsKeyId", "tags"} & done.one("LogGroup").inputs.keys()


def test_a_parameter_may_be_read_and_no_other(run) -> None:
    access = parameter_access(PARAMETER, "/crm/url", "CRM_URL_PARAMETER", kms_key_arn=KEY)
    done = run(lambda: PythonFunction("mail", entry_point="tests.reference.welcome_email.handler", access=[access]))
    assert done.one("Function").inputs["environment"]["variables"]["CRM_URL_PARAMETER"] == "/crm/url"
    assert {"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": PARAMETER} in done.statements("mail")
    assert {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEY} in done.statements("mail")
