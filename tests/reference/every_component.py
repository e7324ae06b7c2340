"""A program that uses every component, each by a statement or two. It is run as the `__main__.py` of a project."""

import json

import pulumi
import pulumi_aws as aws

from components import (
    ApiKey,
    AuditBucket,
    Backfill,
    BusTarget,
    ChangeTable,
    CounterTable,
    EffectLedgerTable,
    EmailSender,
    Enrichment,
    FailureDestination,
    FanOut,
    FunctionSettings,
    FunctionTarget,
    GlobalIndex,
    HttpApi,
    JwtAuthorization,
    KinesisChanges,
    LocalIndex,
    OAuthClient,
    PipeDelivery,
    ProjectionTable,
    ProvisionedCapacity,
    PythonFunction,
    PythonLayer,
    QueueDelivery,
    QueueSource,
    QueueSourceDelivery,
    QueueTarget,
    Reconciliation,
    Sequencer,
    StackConfig,
    Stream,
    StreamDashboard,
    StreamDelivery,
    StreamPipe,
    StreamSource,
    TopicTarget,
    WebhookBus,
    Workflow,
    WorkflowTarget,
    export_for_operator,
    protect_stack,
)
from handlers.cdc import on
from tests.reference import enrich, expected, in_time, plans_per_window, upgrade_api, welcome_email

config = StackConfig.load()
protect_stack(config.protect)
kept = config.protect

alarms = aws.sns.Topic("alarms")

users = ChangeTable(
    "users",
    hash_key="userId",
    ttl_attribute="expiresAt",
    global_indexes={"by-email": GlobalIndex(hash_key="email", attributes=["plan"])},
    deletion_protection=kept,
)
orders = ChangeTable(
    "orders",
    hash_key="customer",
    range_key="number",
    local_indexes={"by-day": LocalIndex(range_key="day")},
    capacity=ProvisionedCapacity(read=5, write=5),
    deletion_protection=kept,
)
ledger = EffectLedgerTable("effects", deletion_protection=kept)
counts = CounterTable("counts", deletion_protection=kept)
rights = ProjectionTable("rights", hash_key="userId", deletion_protection=kept)
waiting = Sequencer("waiting", timed_out=in_time.overdue, access=[ledger.access()], deletion_protection=kept)
mail = EmailSender("mail", mail_from=config.mail_from)
AuditBucket("audit-log", source=users.stream, hashed=["email"], hash_key=pulumi.Output.secret("of the hashes"))

packages = PythonLayer("packages", requirements="packages.txt")
settings = FunctionSettings(timeout=config.function_timeout, log_retention_in_days=1, requirements=packages)
functions = {
    name: PythonFunction(name, entry_point=f"{module.__name__}.handler", settings=FunctionSettings(timeout=5))
    for name, module in (("enrich", enrich), ("receive", enrich))
}
api = HttpApi("api")
api.route("GET /users", upgrade_api.handler, access=[counts.read_access(), rights.access("RIGHTS_TABLE")])
public = HttpApi("public", authorization=JwtAuthorization(issuer="https://id.example.com", audience=("weir",)))
public.route("GET /plans", upgrade_api.handler, name="plans")

# The fan-out, with a consumer and a pipe to each kind of target.
bus = aws.cloudwatch.EventBus("changes")
topic = aws.sns.Topic("changes")
workflow = Workflow("onboarding", definition="done.asl.json", alarm_actions=[alarms.arn])
access = [ledger.access(), counts.access(), mail.send_access()]
changes = FanOut(
    "changes",
    source=users.stream,
    delivery=QueueDelivery(attempts=config.attempts),
    archive_days=config.archive_days,
    function=settings,
    alarm_actions=[alarms.arn],
)
for number in range(2):
    changes.subscribe(welcome_email.handler, name=f"welcome-{number}", access=access)
webhooks = WebhookBus("webhooks", alarm_actions=[alarms.arn])
webhooks.partner(
    "acme",
    url="https://acme.example.com/hook",
    authorization=ApiKey(value="the key of acme"),
    detail_types=["user changed"],
)
globex = pulumi.Config().get("globex") or "https://globex.example.com"
webhooks.partner(
    "globex",
    url=f"{globex}/hook",
    authorization=OAuthClient(token_url=f"{globex}/token", client_id="weir", client_secret="the secret of globex"),
)
targets = {
    "to-partners": webhooks.target("user changed"),
    "to-bus": BusTarget(arn=bus.arn, detail_type="change", source="users"),
    "to-topic": TopicTarget(arn=topic.arn),
    "to-function": FunctionTarget(arn=functions["receive"].function.arn),
    "to-workflow": WorkflowTarget(arn=workflow.machine.arn),
}
changes.subscribe(expected.handler, access=[rights.access("RIGHTS_TABLE")])
reconciliation = Reconciliation("reconciliation", table=users, fan_out=changes, schedule="cron(0 3 * * ? *)")
backfill = Backfill(
    "backfill", table=users, fan_out=changes, consumers=["expected"], exports="arn:aws:s3:::exports/users"
)
for name, target in targets.items():
    changes.pipe(name, target=target, when=on.modify, repeats="a second delivery changes nothing there")

# The other reader of the users' stream: a pipe of its own, with an enrichment.
queue = aws.sqs.Queue("wanted", fifo_queue=True)
wanted = StreamPipe(
    "wanted",
    source=users.stream,
    target=QueueTarget(arn=queue.arn, fifo=True, message_group_id="$.dynamodb.Keys.userId.S"),
    when=on.new("plan").is_in(["pro", "enterprise"]),
    enrichment=Enrichment(by=FunctionTarget(arn=functions["enrich"].function.arn)),
    delivery=PipeDelivery(maximum_retry_attempts=3),
    alarm_actions=[alarms.arn],
)

# A pipe of a queue that holds anything.
jobs_dead = aws.sqs.Queue("jobs-dead")
jobs = aws.sqs.Queue(
    "jobs",
    redrive_policy=jobs_dead.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})),
)
of_jobs = StreamPipe(
    "jobs-to-bus",
    source=QueueSource(queue=jobs),
    target=BusTarget(arn=bus.arn, detail_type="$.body.kind", source="jobs"),
    delivery=QueueSourceDelivery(filters=('{"body": {"kind": [{"exists": true}]}}',)),
    alarm_actions=[alarms.arn],
)

# Consumers that read a stream themselves, each with another failure destination.
direct = Stream("orders", source=orders.stream, function=settings, alarm_actions=[alarms.arn])
direct.subscribe(
    plans_per_window.handler,
    delivery=StreamDelivery(tumbling_window_in_seconds=60, on_failure="sqs"),
    repeats="the count is shown and nothing acts on it",
)
shared = FailureDestination("orders-failures", kind="sns", alarm_actions=[alarms.arn])
assert shared.topic is not None
direct.subscribe(
    welcome_email.handler,
    name="order-mail",
    access=access,
    delivery=StreamDelivery(on_failure=shared.topic),
)
existing = Stream("existing", source=StreamSource.of_table("existing"), function=settings)
existing.subscribe(welcome_email.handler, name="existing-mail", access=access)

# The history of a table, in Kinesis.
history = KinesisChanges("history", table=orders, retention_hours=48, function=settings, alarm_actions=[alarms.arn])
history.subscribe(welcome_email.handler, name="late-mail", access=access)

routes = [changes, wanted, of_jobs, direct, existing, history, workflow, waiting, webhooks, reconciliation, backfill]
StreamDashboard("overview", routes=routes, actions=[alarms.arn])
export_for_operator(routes, functions=api.functions)

pulumi.export("usersTable", users.table.name)
pulumi.export("queue", queue.url)
pulumi.export("webhookBus", webhooks.bus.name)
