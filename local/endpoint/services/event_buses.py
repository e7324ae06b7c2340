"""EventBridge: rules that deliver to queues and API destinations, archives and their replays, lists by page.

ministack matches events and keeps buses, rules, connections and archives. It tries a target once and in silence, so
what follows a match happens here.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.api.http_messages import Reply
from local.endpoint.api.pages import page_of
from local.endpoint.delivery.pipe_services import API_DESTINATION_SECONDS, fetched
from local.endpoint.delivery.targets import Delivery, NotDelivered
from local.endpoint.roles import EVENTS, Caller, Roles
from local.endpoint.routes import PassOn, Routes
from local.engine.buses.retries import is_retried
from local.engine.pipes.requests import HttpRequest

#: Makes the request to an API destination by its name, HttpParameters, body, and whether to ask for a new OAuth token.
MakeRequest = Callable[..., HttpRequest | None]

#: Puts a body into a queue, with a group and attributes; returns the error, if there is one.
PutMessage = Callable[..., str | None]


class EventTargets:
    """The deliveries of rules: to queues by the queue's policy, to API destinations by the target's role.

    Args:
        roles: The account's roles.
        may: Decides whether a service may do an action to a resource for a source.
        put_message: Puts a message into a queue.
        make_request: Makes the request to an API destination.
        rate_of: Returns the rate of an API destination by its name; `None` if there is no such destination.
    """

    def __init__(
        self,
        roles: Roles,
        *,
        may: Callable[[str, str, str, str], bool],
        put_message: PutMessage,
        make_request: MakeRequest,
        rate_of: Callable[[str], int | None],
    ) -> None:
        self._roles = roles
        self._may = may
        self._put_message = put_message
        self._make_request = make_request
        self._rate_of = rate_of

    def send(self, delivery: Delivery) -> None:
        """Deliver once.

        Raises:
            NotDelivered: The target did not take the event.
        """
        if is_api_destination(delivery.target["Arn"]):
            self._call(delivery)
        else:
            self._put(delivery)

    def park(self, delivery: Delivery, queue: str, attributes: Mapping[str, str]) -> bool:
        """Put a dead letter into its queue, if the queue lets the service in; return whether it is there."""
        if not self._may(delivery.service, "sqs:SendMessage", queue, delivery.source):
            return False
        return self._put_message(queue, delivery.letter, attributes=attributes) is None

    def rate(self, delivery: Delivery) -> float | None:
        """Return the calls per second that a target takes; `None` for any number."""
        arn = delivery.target["Arn"]
        return self._rate_of(_name(arn)) if is_api_destination(arn) else None

    def _put(self, delivery: Delivery) -> None:
        queue = delivery.target["Arn"]
        group = (delivery.target.get("SqsParameters") or {}).get("MessageGroupId", "")
        if delivery.target.get("RoleArn"):
            self._admit(delivery, "sqs:SendMessage")
        elif not self._may(delivery.service, "sqs:SendMessage", queue, delivery.source):
            # Missing permissions and targets are not retried (EVB-7).
            raise NotDelivered("NO_PERMISSIONS", f"{queue} does not let {delivery.source} send to it", retried=False)
        refused = self._put_message(queue, delivery.payload, group=group)
        if refused is not None:
            raise NotDelivered("NO_RESOURCE", f"{queue}: {refused}", retried=False)

    def _call(self, delivery: Delivery) -> None:
        self._admit(delivery, "events:InvokeApiDestination")
        name = _name(delivery.target["Arn"])
        parameters = delivery.target.get("HttpParameters") or {}
        try:
            request = self._make_request(name, parameters, delivery.payload, renew=delivery.retries > 0)
            if request is None:
                raise NotDelivered("NO_RESOURCE", f"there is no API destination {name}", retried=False)
            status, headers, _ = fetched(request)
        except (OSError, http.client.HTTPException) as lost:
            seconds = API_DESTINATION_SECONDS
            message = f"{name} did not answer within {seconds:g} s: {lost}"
            raise NotDelivered("SDK_CLIENT_ERROR", message, retried=True) from lost
        if not 200 <= status < 300:
            after = headers.get("retry-after", "")
            raise NotDelivered(
                "ERROR_FROM_TARGET",
                f"{name} answered {status}",
                retried=is_retried(status) and not after.startswith("-"),
                after=float(after) if after.isdecimal() else None,
            )

    def _admit(self, delivery: Delivery, action: str) -> None:
        arn = delivery.target["Arn"]
        caller = Caller(delivery.target.get("RoleArn", ""), delivery.service, delivery.source)
        refused = self._roles.refusal(caller, [(action, arn)])
        if refused is not None:
            raise NotDelivered("NO_PERMISSIONS", refused.message, retried=False)


def event_bus_routes(forget_expired: Callable[[str], None]) -> Routes:
    """Make the tables of event buses.

    Args:
        forget_expired: Forgets the events of an archive, by its name, that it has kept for long enough.
    """

    def expire(call: AwsCall) -> None:
        forget_expired(call.parameters["EventSourceArn"].rpartition("/")[2])

    return Routes(
        checked={"events:PutTargets": [_check_targets], "events:StartReplay": [expire]},
        amended={"events:ListEventBuses": _list},
    )


def is_api_destination(arn: str) -> bool:
    """Return whether an ARN is that of an API destination."""
    return arn.split(":")[2] == "events" and ":api-destination/" in arn


def _check_targets(call: AwsCall) -> None:
    for target in call.parameters.get("Targets", []):
        if is_api_destination(target["Arn"]) and not target.get("RoleArn"):
            raise AwsError("ValidationException", f"RoleArn is required for target {target['Arn']}.")


async def _list(call: AwsCall, pass_on: PassOn) -> Reply:
    reply = await pass_on(call)
    if reply.status != 200:
        return reply
    buses = json.loads(reply.body)["EventBuses"]
    try:
        page, token = page_of(buses, size=call.parameters.get("Limit", 100), token=call.parameters.get("NextToken"))
    except ValueError as wrong:
        raise AwsError("ValidationException", "Invalid NextToken") from wrong
    answer = {"EventBuses": page, **({} if token is None else {"NextToken": token})}
    return reply.with_body(json.dumps(answer).encode())


def _name(arn: str) -> str:
    """Return the name of an API destination; AWS's ARNs end in a UUID."""
    return arn.split("/")[1]


def rule_delivery(rule: str, target: Mapping[str, Any], payload: str, event: str, now: float) -> Delivery:
    """Make the delivery of an event that matched a rule.

    Args:
        rule: ARN of the rule.
        target: The target.
        payload: The text for the target.
        event: The event itself, which becomes the dead letter.
        now: The time in seconds since 1970.
    """
    return Delivery(rule, EVENTS, target, payload, event, now, attributes={"RULE_ARN": rule})
