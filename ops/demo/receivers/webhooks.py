"""The receivers of webhooks: a partner behind the event bus, and a subscriber of signed requests."""

from __future__ import annotations

import contextlib
import secrets
from abc import abstractmethod
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import Plan
from ops.demo.receivers.receiver import Change, Deployed, Receiver, Served, plan_after, plan_changes, user_of
from ops.demo.receivers.webhook_server import WebhookServer


class _Webhooks(Receiver):
    """The events that a server has taken, each once per event id."""

    has_server: ClassVar[bool] = True
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.EVENT_ID,)
    #: How the faults name the server.
    who: ClassVar[str]

    def __init__(self) -> None:
        self._server: WebhookServer | None = None

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:
        """Run a block with the server; without the mechanism it does not look at event ids."""
        secret = secrets.token_urlsafe()
        recognises_repeats = without is not Mechanism.EVENT_ID
        with WebhookServer(secret, recognises_repeats=recognises_repeats).running() as self._server:
            yield self.configuration(secret)

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Let the server take some events without an answer."""
        self.server.lost.update(plan.throttled)

    def faults(self, deployed: Deployed, plan: Plan) -> Mapping[str, tuple[int, int]]:  # noqa: ARG002
        """Count the answers that the server did not give."""
        return {f"answers lost by the {self.who}": (len(plan.throttled), len(plan.throttled) - len(self.server.lost))}

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return every change of a plan, with its event id and the item's version."""
        return Counter(
            _effect(
                user_of(change),
                plan_after(change),
                change["dynamodb"]["NewImage"]["version"]["N"],
                change["eventID"],
            )
            for change in plan_changes(changes)
        )

    def found(self, deployed: Deployed) -> Counter[str]:  # noqa: ARG002 - it is no part of the stack
        """Return every event that was taken."""
        return Counter(
            _effect(event.body["userId"], event.body["plan"], event.version, event.id) for event in self.server.taken
        )

    @property
    def server(self) -> WebhookServer:
        """The server; it serves while `serving` runs."""
        if self._server is None:
            raise RuntimeError(f"the {self.who} does not serve yet")
        return self._server

    @abstractmethod
    def configuration(self, secret: str) -> Served:
        """Return the configuration that switches the consumer on."""


class Partner(_Webhooks):
    """The partner whom EventBridge calls, with a key."""

    consumer: ClassVar[str] = "webhooks"
    is_pipe: ClassVar[bool] = True
    who: ClassVar[str] = "partner"
    claim: ClassVar[str] = (
        "the partner got each of the {count} changes of a plan over the event bus, once by its event id"
    )

    def configuration(self, secret: str) -> Served:
        """Return the partner's address and key."""
        return Served({"weir:webhookUrl": f"{self.server.url}/by-key"}, {"weir:webhookKey": secret})

    def is_settled(self, deployed: Deployed, accepted: int) -> bool:
        """Return whether the bus has delivered every event of the pipe, or given it up."""
        given_up = deployed.endpoint.client("sqs").get_queue_attributes(
            QueueUrl=deployed.outputs["webhookDeadLetters"], AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]["ApproximateNumberOfMessages"]
        return self.server.answered + int(given_up) >= accepted


class Subscriber(_Webhooks):
    """The subscriber whom the sender function calls, with signed requests."""

    consumer: ClassVar[str] = "webhook-sender"
    who: ClassVar[str] = "subscriber"
    claim: ClassVar[str] = (
        "the subscriber got a signed request for each of the {count} changes of a plan, once by its event id"
    )

    def configuration(self, secret: str) -> Served:
        """Return the subscriber's address and the secret of the signatures."""
        return Served({"weir:signedWebhookUrl": f"{self.server.url}/signed"}, {"weir:signedWebhookSecret": secret})


def _effect(user: str, plan: str | None, version: str, event_id: str) -> str:
    return f"{user} on {plan}, version {version}, as {event_id}"
