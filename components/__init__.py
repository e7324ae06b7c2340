"""The building blocks of the program: tables, streams, fan-outs, pipes, consumers, and the resources they need."""

from components.access import Access, allow, parameter_access, secret_access, unused_client
from components.alarms import (
    GIVEN_UP,
    ITERATOR_AGE,
    KINESIS_ALARMS,
    PARKED,
    PARTNER_ALARMS,
    PIPE_ALARMS,
    POLLING,
    QUEUE_AGE,
    QUEUE_ALARMS,
    QUEUE_SOURCE_ALARMS,
    REPLICATION_ALARMS,
    STREAM_ALARMS,
    TIME_OUT_ALARMS,
    TOPIC_ALARMS,
    WORKFLOW_ALARMS,
    AlarmCannotFire,
    AlarmOpinion,
    QueueAlarms,
    StreamAlarms,
    make_alarms,
)
from components.audit_bucket import AuditBucket
from components.backfill import BACKFILL_ALARMS, Backfill
from components.change_table import ChangeTable, GlobalIndex, LocalIndex, ProvisionedCapacity
from components.counter_table import CounterTable
from components.delivery import InvalidDelivery, RetryHorizon, StreamDelivery
from components.effect_ledger import EffectLedgerTable
from components.email_sender import EmailSender
from components.failure_destination import FailureDestination
from components.fan_out import FanOut
from components.function_enrichment import FunctionEnrichment
from components.function_settings import FunctionSettings, Vpc
from components.http_api import HttpApi, JwtAuthorization
from components.import_contract import ImportContractBroken
from components.kept_secret import kept_secret
from components.kinesis_changes import KinesisChanges
from components.kinesis_delivery import KinesisDelivery, KinesisPipeDelivery
from components.kinesis_source import KinesisSource
from components.operator_outputs import export_for_operator
from components.pipe_delivery import PipeDelivery
from components.pipe_targets import (
    ApiDestinationTarget,
    BusTarget,
    Enrichment,
    FunctionTarget,
    PipeTarget,
    QueueTarget,
    TopicTarget,
    WorkflowTarget,
)
from components.projection_table import ProjectionTable
from components.protection import protect_stack
from components.python_function import PythonFunction
from components.python_layer import PythonLayer
from components.queue_consumer import QueueConsumer
from components.queue_delivery import QueueDelivery
from components.queue_pipe import QUEUE_PIPE_ALARMS, QueuePipe, QueuePipeDelivery
from components.queue_source import QueueSource, QueueSourceDelivery
from components.reconciliation import RECONCILIATION_ALARMS, Reconciliation
from components.refusal import Refused
from components.search_access import search_access
from components.sequencer import Sequencer
from components.stack_config import StackConfig
from components.stream import Stream
from components.stream_consumer import StreamConsumer
from components.stream_dashboard import StreamDashboard
from components.stream_pipe import StreamPipe
from components.stream_source import StreamSource, TooManyReaders
from components.watched import Route
from components.webhook_bus import ApiKey, OAuthClient, WebhookBus
from components.workflow import Workflow

__all__ = [
    "BACKFILL_ALARMS",
    "GIVEN_UP",
    "ITERATOR_AGE",
    "KINESIS_ALARMS",
    "PARKED",
    "PARTNER_ALARMS",
    "PIPE_ALARMS",
    "POLLING",
    "QUEUE_AGE",
    "QUEUE_ALARMS",
    "QUEUE_PIPE_ALARMS",
    "QUEUE_SOURCE_ALARMS",
    "RECONCILIATION_ALARMS",
    "REPLICATION_ALARMS",
    "STREAM_ALARMS",
    "TIME_OUT_ALARMS",
    "TOPIC_ALARMS",
    "WORKFLOW_ALARMS",
    "Access",
    "AlarmCannotFire",
    "AlarmOpinion",
    "ApiDestinationTarget",
    "ApiKey",
    "AuditBucket",
    "Backfill",
    "BusTarget",
    "ChangeTable",
    "CounterTable",
    "EffectLedgerTable",
    "EmailSender",
    "Enrichment",
    "FailureDestination",
    "FanOut",
    "FunctionEnrichment",
    "FunctionSettings",
    "FunctionTarget",
    "GlobalIndex",
    "HttpApi",
    "ImportContractBroken",
    "InvalidDelivery",
    "JwtAuthorization",
    "KinesisChanges",
    "KinesisDelivery",
    "KinesisPipeDelivery",
    "KinesisSource",
    "LocalIndex",
    "OAuthClient",
    "PipeDelivery",
    "PipeTarget",
    "ProjectionTable",
    "ProvisionedCapacity",
    "PythonFunction",
    "PythonLayer",
    "QueueAlarms",
    "QueueConsumer",
    "QueueDelivery",
    "QueuePipe",
    "QueuePipeDelivery",
    "QueueSource",
    "QueueSourceDelivery",
    "QueueTarget",
    "Reconciliation",
    "Refused",
    "RetryHorizon",
    "Route",
    "Sequencer",
    "StackConfig",
    "Stream",
    "StreamAlarms",
    "StreamConsumer",
    "StreamDashboard",
    "StreamDelivery",
    "StreamPipe",
    "StreamSource",
    "TooManyReaders",
    "TopicTarget",
    "Vpc",
    "WebhookBus",
    "Workflow",
    "WorkflowTarget",
    "allow",
    "export_for_operator",
    "kept_secret",
    "make_alarms",
    "parameter_access",
    "protect_stack",
    "search_access",
    "secret_access",
    "unused_client",
]
