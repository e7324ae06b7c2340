"""`WebhookBus`: an event bus whose events partners receive over HTTPS, each with its own retries and dead letters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.access import allow, deliver_policy, policy_document, trust
from components.alarms import PARTNER_ALARMS, AlarmOpinion, make_alarms
from components.pipe_targets import BusTarget
from components.refusal import Refused
from components.watched import Watched, waiting

#: Where the permission to call a partner comes from, and where failures are delivered from.
_SERVICE: Final = "events.amazonaws.com"

#: Calls per second that AWS makes to a destination at most, without a higher quota.
_MOST_CALLS: Final = 300

#: SQS keeps a message no longer.
_DEAD_LETTER_SECONDS: Final = 14 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key in a header.

    Attributes:
        header: The header's name.
        value: The key, a secret in the state however it is given.
    """

    value: pulumi.Input[str]
    header: str = "x-api-key"

    def arguments(self) -> Mapping[str, Any]:
        """Return the arguments of the connection."""
        return {
            "authorization_type": "API_KEY",
            "auth_parameters": {"api_key": {"key": self.header, "value": pulumi.Output.secret(self.value)}},
        }


@dataclass(frozen=True, kw_only=True)
class OAuthClient:
    """A client of OAuth 2.0: EventBridge fetches a token, and another one when the partner refuses it.

    Attributes:
        token_url: The address that gives tokens for client credentials, over HTTPS beyond this machine.
        client_id: The client's id.
        client_secret: Its secret, one in the state too however it is given.
    """

    token_url: str
    client_id: pulumi.Input[str]
    client_secret: pulumi.Input[str]

    def arguments(self) -> Mapping[str, Any]:
        """Return the arguments of the connection."""
        client = {"client_id": self.client_id, "client_secret": pulumi.Output.secret(self.client_secret)}
        # EventBridge sends the client's id and secret, and this parameter only when the connection names it.
        grant = {"key": "grant_type", "value": "client_credentials", "is_value_secret": False}
        oauth = {
            "authorization_endpoint": self.token_url,
            "http_method": "POST",
            "client_parameters": client,
            "oauth_http_parameters": {"bodies": [grant]},
        }
        return {"authorization_type": "OAUTH_CLIENT_CREDENTIALS", "auth_parameters": {"oauth": oauth}}


@dataclass(frozen=True)
class Partner:
    """The resources of one partner.

    Attributes:
        connection: The `aws.cloudwatch.EventConnection`, whose secret AWS keeps in Secrets Manager.
        destination: The `aws.cloudwatch.EventApiDestination`.
        dead_letters: The `aws.sqs.Queue` of events that it did not take.
        rule: The `aws.cloudwatch.EventRule`.
        alarms: Each `aws.cloudwatch.MetricAlarm`, by name.
    """

    connection: aws.cloudwatch.EventConnection
    destination: aws.cloudwatch.EventApiDestination
    dead_letters: aws.sqs.Queue
    rule: aws.cloudwatch.EventRule
    alarms: Mapping[str, aws.cloudwatch.MetricAlarm]


class WebhookBus(pulumi.ComponentResource):
    """An archived event bus, filled by a pipe, and a rule, an API destination and a dead-letter queue per partner.

    EventBridge tries a partner for a day. It never repeats a call that was answered by 400, 403, 404, 408, 410 or 422:
    such an event is a dead letter at once. Guide: docs/guides/webhooks.md.

    Args:
        archive_days: Days that the archive keeps every event, for a replay; 0 for ever.
        alarms: The alarms of each partner's dead letters.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `alarm_actions` when not given.

    Attributes:
        bus: The `aws.cloudwatch.EventBus`.
        archive: The `aws.cloudwatch.EventArchive`.
        partners: Each `Partner`, by name.

    Example:
        webhooks = WebhookBus("webhooks")
        webhooks.partner("acme", url="https://acme.example.com/hook", authorization=ApiKey(value="a secret"))
        fan_out.pipe(
            "webhooks",
            target=webhooks.target("user changed"),
            when=on.modify,
            input_template='{"eventId": <$.body.eventID>, "userId": <$.body.dynamodb.Keys.userId.S>}',
            repeats="partners ignore an event id that they have seen",
            opts=pulumi.ResourceOptions(depends_on=[webhooks]),
        )
    """

    def __init__(
        self,
        name: str,
        *,
        archive_days: int = 30,
        alarms: Sequence[AlarmOpinion] = PARTNER_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("weir:index:WebhookBus", name, {}, opts)
        self._name = name
        self._alarms = alarms
        self._actions = alarm_actions
        self._page_actions = page_actions
        self.partners: dict[str, Partner] = {}
        child = pulumi.ResourceOptions(parent=self)
        self.bus = aws.cloudwatch.EventBus(name, opts=child)
        self.archive = aws.cloudwatch.EventArchive(
            name, event_source_arn=self.bus.arn, retention_days=archive_days, opts=child
        )
        self.register_outputs({"busArn": self.bus.arn})

    def target(self, detail_type: str) -> BusTarget:
        """Return the bus as a pipe's target.

        Args:
            detail_type: The type of the pipe's events, by which partners choose.
        """
        return BusTarget(arn=self.bus.arn, detail_type=detail_type, source=self._name)

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of each partner."""
        return [
            Watched(
                name=f"{self._name}-{name}",
                dead_letters=waiting(partner.dead_letters),
                alarms=[*partner.alarms.values()],
            )
            for name, partner in self.partners.items()
        ]

    def partner(
        self,
        name: str,
        *,
        url: str,
        authorization: ApiKey | OAuthClient,
        detail_types: Sequence[str] = (),
        calls_per_second: int = _MOST_CALLS,
        retry_hours: int = 24,
    ) -> Partner:
        """Send events to a partner; the body of a request is the event's detail.

        Args:
            name: The partner's name.
            url: The address that takes a POST, over HTTPS beyond this machine.
            authorization: What EventBridge identifies itself with.
            detail_types: Types of the wanted events; all of them if there are none.
            calls_per_second: Requests per second at most, 1 to 300. What is above waits, for `retry_hours` at most.
            retry_hours: Hours that an event is tried, 1 to 24.

        Raises:
            Refused: The name is taken, an address is not HTTPS, or a number is out of range.
        """
        if name in self.partners:
            raise Refused(f"{name} is a partner of {self._name} already: give this one a name of its own")
        addresses = {"url": url}
        if isinstance(authorization, OAuthClient):
            addresses["token_url"] = authorization.token_url
        for argument, address in addresses.items():
            if not address.startswith(("https://", "http://127.0.0.1:")):
                raise Refused(
                    f"{name}: {argument}={address!r} is not HTTPS, and AWS calls no other address: write https://…"
                )
        if not 1 <= calls_per_second <= _MOST_CALLS:
            raise Refused(f"{name}: calls_per_second={calls_per_second} is not 1 to {_MOST_CALLS}")
        if not 1 <= retry_hours <= 24:
            raise Refused(f"{name}: retry_hours={retry_hours} is not 1 to 24, and EventBridge tries no longer")
        child, full = pulumi.ResourceOptions(parent=self), f"{self._name}-{name}"
        connection = aws.cloudwatch.EventConnection(full, **authorization.arguments(), opts=child)
        destination = aws.cloudwatch.EventApiDestination(
            full,
            connection_arn=connection.arn,
            invocation_endpoint=url,
            http_method="POST",
            invocation_rate_limit_per_second=calls_per_second,
            opts=child,
        )
        pattern = {"source": [self._name], **({"detail-type": list(detail_types)} if detail_types else {})}
        rule = aws.cloudwatch.EventRule(
            full, event_bus_name=self.bus.name, event_pattern=json.dumps(pattern), opts=child
        )
        dead_letters = aws.sqs.Queue(
            f"{full}-dead-letters",
            message_retention_seconds=_DEAD_LETTER_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        lets_in = aws.sqs.QueuePolicy(
            f"{full}-dead-letters",
            queue_url=dead_letters.url,
            policy=deliver_policy(_SERVICE, rule.arn, dead_letters.arn),
            opts=child,
        )
        role = aws.iam.Role(full, assume_role_policy=trust(_SERVICE), opts=child)
        may_call = aws.iam.RolePolicy(
            full,
            role=role.name,
            policy=policy_document([allow(["events:InvokeApiDestination"], destination.arn)]),
            opts=child,
        )
        aws.cloudwatch.EventTarget(
            full,
            rule=rule.name,
            event_bus_name=self.bus.name,
            arn=destination.arn,
            role_arn=role.arn,
            input_path="$.detail",
            retry_policy={"maximum_event_age_in_seconds": retry_hours * 3600, "maximum_retry_attempts": 185},
            dead_letter_config={"arn": dead_letters.arn},
            # An event may follow at once: with the permission to call, and a place for what fails.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[lets_in, may_call]),
        )
        alarms = make_alarms(
            full,
            self._alarms,
            {"QueueName": dead_letters.name},
            actions=self._actions,
            page_actions=self._page_actions,
            failure_destination=dead_letters.arn,
            opts=child,
        )
        made = Partner(connection, destination, dead_letters, rule, alarms)
        self.partners[name] = made
        return made
