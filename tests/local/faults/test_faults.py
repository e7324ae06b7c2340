"""Every fault with the whole program running: after it, all effects are there, none twice, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.cdc.queues import LONGEST_PAUSE
from ops.demo.plan import FREE_PLAN, PAID_PLAN
from ops.demo.receivers import RECEIVERS
from tests.local.faults.service import ATTEMPTS, Service
from tests.local.world import wait_until

CONSUMERS = [receiver.consumer for receiver in RECEIVERS if not receiver.is_pipe]

#: The one call of a new process that writes to a server of its own, before the effect.
SECRET = "secretsmanager:GetSecretValue"

#: The call in which each consumer's function is killed: the effect itself, or what is written right after it.
KILLED_IN = {
    "welcome-email": "sesv2:SendEmail",
    "entitlements": "dynamodb:PutItem",
    "plan-counts": "dynamodb:TransactWriteItems",
    "crm-sync": "dynamodb:UpdateItem",
    "audit-log": "s3:PutObject",
    "users-by-email": "dynamodb:PutItem",
    "onboarding": "stepfunctions:StartExecution",
    "read-model-sql": SECRET,
    "read-model-cache": SECRET,
    "webhook-sender": SECRET,
    "account-ready": "dynamodb:UpdateItem",
    "account-ready-accounts": "dynamodb:UpdateItem",
    "leaderboard": "dynamodb:PutItem",
}


def test_a_backend_that_is_down_delays_nobody_else_and_catches_up(service: Service) -> None:
    service.crm.is_down = True
    service.upgrade("down-1", "down-2")
    service.wait_for(*(name for name in CONSUMERS if name != "crm-sync"))
    assert not [user for user, _ in service.crm.applied if user.startswith("down-")]
    service.crm.is_down = False
    service.check()


def test_mails_that_ses_refuses_for_a_while_are_sent_once(service: Service) -> None:
    service.control.fail("sesv2:SendEmail", times=3)
    service.upgrade("refused-1", "refused-2")
    service.check()


def test_there_is_a_call_to_kill_each_consumer_in() -> None:
    assert set(KILLED_IN) == set(CONSUMERS)


def test_every_handler_is_killed_in_the_midst_of_its_work(service: Service) -> None:
    for consumer, call in KILLED_IN.items():
        if call == SECRET:
            service.renew(consumer)
        service.control.kill(call, function=service.deployed.function(consumer), times=1)
    service.upgrade("killed-1", "killed-2")
    service.check()
    assert [fault["fired"] for fault in service.control.faults()] == [1] * len(KILLED_IN)


def test_a_handler_whose_answer_is_lost_has_done_its_work_and_does_not_repeat_it(service: Service) -> None:
    for consumer in CONSUMERS:
        service.control.drop_answer("unheard", function=service.deployed.function(consumer))
    service.upgrade("unheard")
    service.check()
    assert [fault["fired"] for fault in service.control.faults()] == [1] * len(CONSUMERS)


def test_a_ledger_that_is_throttled_only_delays(service: Service) -> None:
    # A mark that is not written before its invocation ends, after three seconds here, repeats the mail: as promised.
    for operation, times in (("dynamodb:PutItem", 4), ("dynamodb:UpdateItem", 2)):
        service.control.throttle(operation, function=service.deployed.function("welcome-email"), times=times)
    service.upgrade("throttled-1", "throttled-2")
    service.check()
    assert sum(fault["fired"] for fault in service.control.faults()) > 0


def test_a_change_that_may_not_be_parked_waits_in_its_queue(service: Service) -> None:
    iam, role = service.client("iam"), service.role("welcome-email").rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    bucket = service.deployed.outputs["consumers"]["welcome-email"]["failureDestination"]
    without = [each for each in document["Statement"] if bucket not in str(each["Resource"])]
    assert len(without) < len(document["Statement"])
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=text({**document, "Statement": without}))
    service.poison.add("unparked")
    service.upgrade("unparked")
    queue = queue_of(service, "welcome-email")
    changes = service.plan_changes_of("unparked")
    for attempts in range(1, ATTEMPTS + 3):
        wait_until(lambda attempts=attempts: service.attempts_at("welcome-email", changes) >= attempts, timeout=120)
        service.control.advance_clock(LONGEST_PAUSE)
    assert "unparked" not in service.dead_letters()["welcome-email"]
    counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    held = service.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=list(counts))["Attributes"]
    assert sum(int(held[name]) for name in counts) == 1
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=text(document))

    def parked() -> bool:
        return "unparked" in service.dead_letters()["welcome-email"]

    service.control.advance_clock(LONGEST_PAUSE)
    wait_until(parked, timeout=120)
    service.check()


def test_everything_is_delivered_twice(service: Service) -> None:
    service.upgrade("twice-1", "twice-2")
    service.set_plan(FREE_PLAN, "twice-1")
    service.set_plan(PAID_PLAN, "twice-1")
    service.check()
    service.repeat([change for change in service.changes() if "twice-" in str(change["dynamodb"]["Keys"])])
    service.check()


def test_a_table_that_is_written_during_a_backfill_gives_every_row_and_repeats_no_effect(service: Service) -> None:
    service.upgrade("walked-1", "walked-2", "walked-3")
    service.wait_for()
    service.empty("entitlementsTable")  # as of a consumer that is new
    walk = service.begin_backfill()
    service.set_plan(FREE_PLAN, "walked-1", "walked-2")
    service.set_plan(PAID_PLAN, "walked-1")
    service.upgrade("walked-4", "walked-5")
    sent = service.finish_backfill(walk)
    # The third one is written by the walk alone.
    assert sent["entitlements"] >= 1
    service.check()


@pytest.mark.parametrize("consumer", ["forwarder", "welcome-email", "plan-counts"])
def test_a_deployment_replaces_a_mapping_while_changes_come(service: Service, consumer: str) -> None:
    outputs, functions = service.deployed.outputs, service.client("lambda")
    uuid = outputs["forwarder"] if consumer == "forwarder" else service.observer.mapping(consumer)
    described = functions.get_event_source_mapping(UUID=uuid)
    service.upgrade(f"before-{consumer}")
    service.wait_for()
    done = frozenset() if consumer == "forwarder" else service.observer.progress(consumer).done
    functions.delete_event_source_mapping(UUID=uuid)
    service.upgrade(f"between-{consumer}")
    wait_until(lambda: uuid not in [each.uuid for each in service.control.mappings()], timeout=120)
    settings = {name: described[name] for name in SETTINGS if described.get(name)}
    made = functions.create_event_source_mapping(FunctionName=described["FunctionArn"], **settings)
    service.replaced(consumer, made["UUID"], done)
    service.upgrade(f"after-{consumer}")
    service.check()


def test_a_rotated_secret_is_read_again_when_the_old_one_is_refused(service: Service) -> None:
    service.upgrade("rotated-1")
    service.wait_for("crm-sync")
    secrets = service.client("secretsmanager")
    secret = secret_of_crm(service)
    service.crm.token = "a new token"
    secrets.put_secret_value(SecretId=secret, SecretString=service.crm.token)
    service.upgrade("rotated-2", "rotated-3")
    service.check()
    assert {request["Authorization"] for request in service.crm.requests[-2:]} == {"Bearer a new token"}


def test_a_partner_that_answers_slowly_delays_its_own_item_alone(service: Service) -> None:
    service.crm.held.add("slow")
    service.upgrade("slow", "quick")
    wait_until(lambda: ("quick", {"plan": PAID_PLAN}) in service.crm.applied, timeout=120)
    service.wait_for(*(name for name in CONSUMERS if name != "crm-sync"))
    slow = f"{service.crm.url}/users/slow".removeprefix(service.crm.url)
    wait_until(lambda: [each["path"] for each in service.crm.requests].count(slow) > 1, timeout=120)
    service.crm.release()
    service.check()


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_no_consumers_role_may_do_what_it_does_not_need(service: Service, consumer: str) -> None:
    calls = forbidden(service, consumer)
    refused = zip(calls, service.refusals(consumer, calls), strict=True)
    assert [(call, code) for call, code in refused if code not in DENIED] == []


def forbidden(service: Service, consumer: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls that no consumer needs: on the users, on what belongs to the others, and on the account."""
    outputs = service.deployed.outputs
    users = {"TableName": outputs["usersTable"]}
    key = {"Key": {"userId": {"S": "u"}}}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("dynamodb", "put_item", {**users, "Item": key["Key"]}),
        ("dynamodb", "delete_item", {**users, **key}),
        ("dynamodb", "get_item", {**users, **key}),
        ("dynamodb", "scan", users),
        ("dynamodbstreams", "describe_stream", {"StreamArn": outputs["streamArn"]}),
        ("sns", "publish", {"TopicArn": outputs["alarmTopicArn"], "Message": "x"}),
        ("iam", "list_roles", {}),
        ("s3", "list_buckets", {}),
        ("lambda", "invoke", {"FunctionName": service.deployed.function(consumer), "Payload": "{}"}),
    ]
    for other in CONSUMERS:
        if other != consumer:
            bucket = outputs["consumers"][other]["failureDestination"].rpartition(":")[2]
            calls += [
                ("sqs", "receive_message", {"QueueUrl": queue_of(service, other)}),
                ("s3", "put_object", {"Bucket": bucket, "Key": "x", "Body": "x"}),
            ]
    for owner, output in TABLES.items():
        calls += [("dynamodb", "scan", {"TableName": outputs[output]})]
        if owner != consumer:
            calls += [("dynamodb", "put_item", {"TableName": outputs[output], "Item": key["Key"]})]
    if consumer not in ("welcome-email", "crm-sync", *ACCOUNTS):
        calls += [("dynamodb", "put_item", {"TableName": outputs["effectLedgerTable"], "Item": key["Key"]})]
    if consumer != "crm-sync":
        calls += [("secretsmanager", "get_secret_value", {"SecretId": secret_of_crm(service)})]
    if consumer not in ("welcome-email", *ACCOUNTS):
        content = {"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}}}
        mail = {"FromEmailAddress": "hello@example.com", "Destination": {"ToAddresses": ["a@example.com"]}}
        calls += [("sesv2", "send_email", {**mail, "Content": content})]
    return calls


#: The services' words for a missing permission.
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}

#: Settings of a mapping that a new one gets.
SETTINGS = (
    *("EventSourceArn", "BatchSize", "FilterCriteria", "FunctionResponseTypes", "ScalingConfig", "MetricsConfig"),
    *("StartingPosition", "MaximumBatchingWindowInSeconds", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds"),
    *("BisectBatchOnFunctionError", "DestinationConfig", "ParallelizationFactor"),
)


#: The outputs with the tables that consumers own.
TABLES = {
    "entitlements": "entitlementsTable",
    "users-by-email": "usersByEmailTable",
    "plan-counts": "planCountsTable",
    "leaderboard": "leaderboardTable",
    "account-ready": "waitingTable",
}

#: The two consumers that send one mail together.
ACCOUNTS = ("account-ready", "account-ready-accounts")


def queue_of(service: Service, consumer: str) -> str:
    """The URL of the queue that a consumer reads."""
    arn = service.client("lambda").get_event_source_mapping(UUID=service.observer.mapping(consumer))["EventSourceArn"]
    return service.client("sqs").get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]


def secret_of_crm(service: Service) -> str:
    """The ARN of the secret with the CRM's token."""
    function = service.client("lambda").get_function_configuration(FunctionName=service.deployed.function("crm-sync"))
    return function["Environment"]["Variables"]["CRM_TOKEN_SECRET"]


def text(document: Any) -> str:
    return json.dumps(document)
