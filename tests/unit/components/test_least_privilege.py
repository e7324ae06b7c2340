"""Permissions of each function: its only policy, compared statement by statement."""

from __future__ import annotations

import json

import pytest

from components import ChangeTable, EffectLedgerTable, EmailSender, PythonFunction, Refused, Stream, StreamDelivery
from components.access import Access, allow
from tests.reference import welcome_email as plain

ARN = "arn:aws:{}:eu-central-1:123456789012:{}"
STREAMS = ARN.format("dynamodb", "table/users/stream/*")
OWN_ACCOUNT = {"StringEquals": {"s3:ResourceAccount": "123456789012"}}


def logs_of(function: str) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": ARN.format("logs", f"log-group:{function}:*"),
    }


READ_STREAM = [
    {
        "Effect": "Allow",
        "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
        "Resource": STREAMS,
    },
    {"Effect": "Allow", "Action": ["dynamodb:ListStreams"], "Resource": "*"},
]
FAILURES_TO_S3 = [
    {
        "Effect": "Allow",
        "Action": ["s3:PutObject"],
        "Resource": "arn:aws:s3:::welcome-email-failures/aws/lambda/*",
        "Condition": OWN_ACCOUNT,
    },
    {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": "arn:aws:s3:::welcome-email-failures",
        "Condition": OWN_ACCOUNT,
    },
    {
        "Effect": "Allow",
        "Action": ["s3:PutObject"],
        "Resource": "arn:aws:s3:::welcome-email-failures/discarded/*",
        "Condition": OWN_ACCOUNT,
    },
]
LEDGER = {
    "Effect": "Allow",
    "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
    "Resource": ARN.format("dynamodb", "table/effects"),
}


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_the_api_may_update_users_and_nothing_else(program, stack: str) -> None:
    assert program(stack).statements("upgrade-api") == [
        logs_of("upgrade-api"),
        {"Effect": "Allow", "Action": ["dynamodb:UpdateItem"], "Resource": ARN.format("dynamodb", "table/users")},
    ]


SEND_AS_HELLO = {
    "Effect": "Allow",
    "Action": ["ses:SendEmail"],
    "Resource": ARN.format("ses", "identity/mail"),
    "Condition": {"StringEquals": {"ses:FromAddress": "hello@example.com"}},
}


def test_the_welcome_email_may_claim_effects_send_as_one_address_and_read_its_queue(program) -> None:
    assert program("prod").statements("welcome-email") == [
        logs_of("welcome-email"),
        LEDGER,
        SEND_AS_HELLO,
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::changes-claim-checks/*"},
        {
            "Effect": "Allow",
            "Action": [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueUrl",
            ],
            "Resource": ARN.format("sqs", "welcome-email"),
        },
        FAILURES_TO_S3[-1],
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"],
            "Resource": "arn:aws:s3:::welcome-email-failures/started/*",
            "Condition": OWN_ACCOUNT,
        },
        FAILURES_TO_S3[1],
    ]


def test_without_the_fan_out_the_welcome_email_reads_its_stream(configured) -> None:
    assert configured("dev", {"weir:fanOut": "false", "weir:mailFrom": "hello@example.com"}).statements(
        "welcome-email"
    ) == [logs_of("welcome-email"), LEDGER, SEND_AS_HELLO, *READ_STREAM, *FAILURES_TO_S3]


def test_a_projection_and_counters_may_write_their_table_and_nothing_else(program) -> None:
    for consumer in ("entitlements", "plan-counts"):
        tables = [each for each in program("prod").statements(consumer) if "dynamodb:" in str(each["Action"])]
        writes = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
        assert tables == [
            {"Effect": "Allow", "Action": writes, "Resource": ARN.format("dynamodb", f"table/{consumer}")}
        ]


def test_functions_know_only_the_names_that_come_with_their_access(program) -> None:
    run = program("prod")
    assert run.one("Function", "upgrade-api").inputs["environment"] == {"variables": {"USERS_TABLE": "users"}}
    assert run.one("Function", "welcome-email").inputs["environment"] == {
        "variables": {
            "EFFECT_LEDGER_TABLE": "effects",
            "MAIL_FROM": "hello@example.com",
            "FAILURE_DESTINATION": "arn:aws:s3:::welcome-email-failures",
            "QUEUE_ATTEMPTS": "10",
        }
    }


def test_a_consumer_without_access_to_the_ledger_gets_none(run) -> None:
    def program() -> None:
        EffectLedgerTable("effects")
        Stream("changes", source=ChangeTable("users", hash_key="userId").stream).subscribe(plain.handler)

    done = run(program)
    assert done.statements("welcome-email") == [logs_of("welcome-email"), *READ_STREAM, *FAILURES_TO_S3]
    assert list(done.one("Function").inputs["environment"]["variables"]) == ["FAILURE_DESTINATION"]


def test_roles_trust_lambda_alone_and_have_one_policy(program) -> None:
    run = program("prod")
    for role in run.all("Role"):
        (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    with_policy = sorted(policy.inputs["role"] for policy in run.all("RolePolicy"))
    assert with_policy == sorted(role.name for role in run.all("Role"))


def test_the_api_gateway_may_call_one_function_for_one_route(program) -> None:
    permission = program("prod").one("Permission").inputs
    assert permission == {
        "action": "lambda:InvokeFunction",
        "function": "upgrade-api",
        "principal": "apigateway.amazonaws.com",
        "sourceArn": ARN.format("execute-api", "api/*/POST/users/{userId}/plan"),
    }


@pytest.mark.parametrize(
    ("on_failure", "statements"),
    [
        (
            "sqs",
            [
                {
                    "Effect": "Allow",
                    "Action": ["sqs:SendMessage", "sqs:GetQueueUrl"],
                    "Resource": ARN.format("sqs", "welcome-email-failures"),
                }
            ],
        ),
        (
            "sns",
            [{"Effect": "Allow", "Action": ["sns:Publish"], "Resource": ARN.format("sns", "welcome-email-failures")}],
        ),
        (
            "arn:aws:sqs:eu-central-1:123456789012:dead-letters",
            [
                {
                    "Effect": "Allow",
                    "Action": ["sqs:SendMessage", "sqs:GetQueueUrl"],
                    "Resource": ARN.format("sqs", "dead-letters"),
                }
            ],
        ),
        (
            "arn:aws:sns:eu-central-1:123456789012:dead-letters",
            [{"Effect": "Allow", "Action": ["sns:Publish"], "Resource": ARN.format("sns", "dead-letters")}],
        ),
        (
            "arn:aws:s3:::dead-letters",
            [
                {
                    "Effect": "Allow",
                    "Action": ["s3:PutObject"],
                    "Resource": "arn:aws:s3:::dead-letters/aws/lambda/*",
                    "Condition": OWN_ACCOUNT,
                },
                {
                    "Effect": "Allow",
                    "Action": ["s3:ListBucket"],
                    "Resource": "arn:aws:s3:::dead-letters",
                    "Condition": OWN_ACCOUNT,
                },
                {
                    "Effect": "Allow",
                    "Action": ["s3:PutObject"],
                    "Resource": "arn:aws:s3:::dead-letters/discarded/*",
                    "Condition": OWN_ACCOUNT,
                },
            ],
        ),
    ],
)
def test_a_consumer_may_deliver_failures_to_its_destination_alone(run, on_failure: str, statements: object) -> None:
    def program() -> None:
        users = ChangeTable("users", hash_key="userId")
        Stream("changes", source=users.stream, delivery=StreamDelivery(on_failure=on_failure)).subscribe(plain.handler)

    assert run(program).statements("welcome-email") == [logs_of("welcome-email"), *READ_STREAM, *statements]


def test_a_customer_managed_key_comes_with_the_leave_to_decrypt(run) -> None:
    key = ARN.format("kms", "key/1")

    def program() -> None:
        users = ChangeTable("users", hash_key="userId", kms_key_arn=key)
        ledger = EffectLedgerTable("effects", kms_key_arn=key)
        Stream("changes", source=users.stream).subscribe(
            plain.handler, access=[ledger.access(), users.update_access("USERS_TABLE")]
        )

    done = run(program)
    decrypt = {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": key}
    assert done.statements("welcome-email").count(decrypt) == 3
    assert done.one("Table", "users").inputs["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": key}
    assert done.one("Table", "effects").inputs["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": key}


def test_a_sender_for_a_domain_may_still_send_as_one_address_only(run) -> None:
    def program() -> None:
        mail = EmailSender("mail", mail_from="hello@news.example.com", identity="example.com")
        PythonFunction("mailer", entry_point="tests.reference.welcome_email.handler", access=[mail.send_access()])

    done = run(program)
    assert done.one("EmailIdentity").inputs == {"emailIdentity": "example.com"}
    assert done.statements("mailer")[1]["Condition"] == {"StringEquals": {"ses:FromAddress": "hello@news.example.com"}}


def test_two_accesses_that_set_one_variable_are_refused(run) -> None:
    def program() -> None:
        access = Access([allow(["s3:GetObject"], "arn:aws:s3:::a/*")], {"BUCKET": "a"})
        PythonFunction(
            "x", entry_point="tests.reference.welcome_email.handler", access=[access], environment={"BUCKET": "b"}
        )

    with pytest.raises(Refused, match=r"the environment variable BUCKET is set twice, .*: take one away"):
        run(program)
