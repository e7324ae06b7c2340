"""Protection, names that fit, identities of other stacks, and configuration that is secret or misspelt."""

from __future__ import annotations

import logging
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest

from components import ChangeTable, EmailSender, FailureDestination, PythonFunction, Refused, StackConfig, Stream
from components import protect_stack as protect
from local.deploy.stack_files import read_stack_files
from tests.reference import welcome_email

PROGRAM = Path(__file__).parents[3]

MAIL = "hello@example.com"
#: The defaults of Pulumi.yaml, protected.
CONFIG = {
    **{name: value for name, value in read_stack_files(PROGRAM, "dev").config.items() if name.startswith("weir:")},
    "weir:mailFrom": MAIL,
    "weir:protect": "true",
}


def test_everything_of_a_protected_stack_is_protected_except_what_is_let_go(run) -> None:
    def program() -> None:
        protect(True)
        users = ChangeTable("users", hash_key="userId")
        changes = Stream("changes", source=users.stream)
        changes.subscribe(welcome_email.handler)
        changes.subscribe(welcome_email.handler, name="gone", opts=pulumi.ResourceOptions(protect=False))

    made = run(program).registrations
    free = {each.name for each in made if not each.protect}
    assert "gone" in free
    assert all(name.startswith("gone") for name in free)
    assert {"users", "welcome-email", "welcome-email-failures"} <= {each.name for each in made if each.protect}


def test_the_bucket_of_dead_letters_outlives_its_consumer_in_a_protected_stack_alone(run) -> None:
    def program(protected: bool):
        def make() -> None:
            protect(protected)
            FailureDestination("f", kind="s3", opts=pulumi.ResourceOptions(protect=False))
            aws.s3.Bucket("other")

        return make

    kept = {each.type.rpartition(":")[2] for each in run(program(True)).registrations if each.retain_on_delete}
    assert kept == {
        "Bucket",
        "BucketLifecycleConfiguration",
        "BucketOwnershipControls",
        "BucketPublicAccessBlock",
        "BucketServerSideEncryptionConfiguration",
    }
    assert [each.retain_on_delete for each in run(program(True)).all("Bucket")].count(True) == 1
    assert not any(each.retain_on_delete for each in run(program(False)).registrations)


def test_a_consumer_that_is_let_go_names_the_bucket_that_stays(run, caplog: pytest.LogCaptureFixture) -> None:
    def program() -> None:
        protect(True)
        FailureDestination("f", kind="s3", opts=pulumi.ResourceOptions(protect=False))

    with caplog.at_level(logging.WARNING, "local.deploy.program"):
        run(program)
    assert "f: when its statement is removed, the bucket f stays, with the dead letters" in caplog.text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: FailureDestination("a" * 56, kind="s3"),
            r"its bucket would be called a{56}-0{7} in the stack test, which has 64 characters, and AWS takes 63",
        ),
        (lambda: FailureDestination("Upper-failures", kind="s3"), "^Upper: its bucket .* takes only lower-case"),
        (lambda: FailureDestination("a" * 73, kind="sqs"), "its queue would be called .* has 81 characters"),
        (
            lambda: PythonFunction("f" * 57, entry_point="handlers.welcome_email.handler"),
            "its function would be called .* has 65 characters, and AWS takes 64: shorten the name by 1",
        ),
    ],
)
def test_a_name_that_does_not_fit_its_service_is_refused(run, make, message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(make)


@pytest.mark.parametrize(
    ("settings", "physical"),
    [
        ('{"mode": "verbatim"}', "A-b"),
        ('{"pattern": "${project}-${stack}-${name}-${alphanum(4)}"}', "weir-test-A-b-0000"),
    ],
)
def test_the_name_is_that_of_the_stack_s_autonaming(run, settings: str, physical: str) -> None:
    with pytest.raises(Refused, match=f"would be called {physical} in the stack test"):
        run(lambda: FailureDestination("A-b", kind="s3"), config={"pulumi:autonaming": settings})


def test_the_identity_of_another_stack_is_used_and_not_made(run) -> None:
    def program() -> None:
        mail = EmailSender("mail", mail_from=MAIL, owned=False)
        pulumi.export("statement", mail.send_access().statements[0])

    done = run(program)
    assert done.all("EmailIdentity") == []
    assert done.outputs["statement"]["Resource"] == f"arn:aws:ses:eu-central-1:123456789012:identity/{MAIL}"


def test_an_address_that_would_be_kept_in_clear_needs_a_domain_or_another_owner(run) -> None:
    secret = pulumi.Output.secret
    with pytest.raises(Refused, match="the id of its identity would be the address, which Pulumi keeps in clear"):
        run(lambda: EmailSender("mail", mail_from=secret(MAIL)))
    assert run(lambda: EmailSender("mail", mail_from=secret(MAIL), identity="example.com")).all("EmailIdentity")


def loaded(run, **config: str) -> None:
    given = {**CONFIG, **{f"weir:{key}": value for key, value in config.items()}}
    run(StackConfig.load, config=given)


def test_a_misspelt_key_is_told(run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "local.deploy.program"):
        loaded(run, batchsize="5")
    assert "Pulumi.test.yaml: weir:batchsize is read by nothing: did you mean weir:batchSize?" in caplog.text


def test_keys_of_the_project_s_former_name_are_told_with_what_is_missing(run) -> None:
    former = {key.replace("weir:", "shop:"): value for key, value in CONFIG.items()}
    with pytest.raises(pulumi.RunError) as refused:
        run(StackConfig.load, config=former)
    assert "weir:mailFrom is missing: run  pulumi config set mailFrom" in str(refused.value)
    assert "shop:mailFrom is of a project named shop, and this one is named weir: write weir:mailFrom" in str(
        refused.value
    )
