"""The program: one table, one API that does one write, and one statement per side effect."""

from dataclasses import replace

import pulumi
import pulumi_aws as aws

from components import (
    ApiKey,
    AuditBucket,
    Backfill,
    ChangeTable,
    CounterTable,
    EffectLedgerTable,
    EmailSender,
    FanOut,
    FunctionSettings,
    HttpApi,
    ProjectionTable,
    QueueDelivery,
    Reconciliation,
    Route,
    Sequencer,
    StackConfig,
    Stream,
    StreamDashboard,
    StreamDelivery,
    WebhookBus,
    Workflow,
    export_for_operator,
    kept_secret,
    protect_stack,
    search_access,
)
from handlers import (
    account_api,
    account_ready,
    audit_log,
    crm_sync,
    entitlements,
    leaderboard,
    onboarding,
    plan_counts,
    read_model_cache,
    read_model_sql,
    search_index,
    upgrade_api,
    users_by_email,
    webhook_sender,
    welcome_email,
)
from handlers.cdc import on

config = StackConfig.load()
protect_stack(config.protect)

alarms = aws.sns.Topic("alarms")

if config.alarm_email is not None:
    aws.sns.TopicSubscription("alarms", topic=alarms.arn, protocol="email", endpoint=config.alarm_email)

users = ChangeTable("users", hash_key="userId", deletion_protection=config.protect)
ledger = EffectLedgerTable("effects", deletion_protection=config.protect)
mail = EmailSender("mail", mail_from=config.mail_from, owned=config.mail_identity_owned)

function = FunctionSettings(
    timeout=config.function_timeout, log_retention_in_days=config.log_retention_in_days, metrics=config.metrics
)

api = HttpApi("api")
api.route(
    "POST /users/{userId}/plan",
    upgrade_api.handler,
    access=[users.update_access("USERS_TABLE")],
    settings=replace(function, timeout=10),
)

changes: FanOut | Stream
reconciled: dict[str, tuple[ChangeTable, FanOut]] = {}

if config.fan_out:
    changes = FanOut(
        "changes",
        source=users.stream,
        delivery=QueueDelivery(attempts=config.attempts),
        archive_days=config.archive_days,
        function=function,
        alarm_actions=[alarms.arn],
    )
    reconciled["reconciliation"] = users, changes
else:
    changes = Stream(
        "changes",
        source=users.stream,
        delivery=StreamDelivery(
            batch_size=config.batch_size,
            maximum_batching_window_in_seconds=config.batching_window,
            maximum_retry_attempts=config.retry_attempts,
        ),
        function=function,
        alarm_actions=[alarms.arn],
    )
routes: list[FanOut | Stream] = [changes]
parts: list[Route] = []  # what else has alarms
changes.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])

if config.fan_out:  # a stream itself serves two consumers; the configuration refuses more without one
    rights = ProjectionTable("entitlements", hash_key="userId", deletion_protection=config.protect)
    changes.subscribe(entitlements.handler, access=[rights.access("ENTITLEMENTS_TABLE")])

    counts = CounterTable("plan-counts", deletion_protection=config.protect)
    changes.subscribe(plan_counts.handler, access=[counts.access()])

    pulumi.export("entitlementsTable", rights.table.name)
    pulumi.export("planCountsTable", counts.table.name)

if config.crm_url is not None:
    changes.subscribe(
        crm_sync.handler,
        access=[ledger.access(), kept_secret("crm-token", config.crm_token, "CRM_TOKEN_SECRET")],
        environment={"CRM_URL": config.crm_url},
    )

if config.audit_log:
    audit = AuditBucket(
        "audit-log",
        source=users.stream,
        drop=config.audit_drop,
        hashed=config.audit_hash,
        hash_key=config.audit_hash_key,
    )
    changes.subscribe(audit_log.handler, access=[audit.access()])
    pulumi.export("auditBucket", audit.bucket.bucket)

if config.users_by_email:
    by_email = ProjectionTable(
        "users-by-email", hash_key="email", range_key="userId", deletion_protection=config.protect
    )
    changes.subscribe(users_by_email.handler, access=[by_email.access("USERS_BY_EMAIL_TABLE")])
    pulumi.export("usersByEmailTable", by_email.table.name)

if isinstance(changes, FanOut) and config.webhook_url is not None and config.webhook_key is not None:
    webhooks = WebhookBus("webhooks", alarm_actions=[alarms.arn])
    partner = webhooks.partner("partner", url=config.webhook_url, authorization=ApiKey(value=config.webhook_key))
    changes.pipe(
        "webhooks",
        target=webhooks.target("user changed"),
        when=on.modify,
        input_template=(
            '{"eventId": <$.body.eventID>, "userId": <$.body.dynamodb.Keys.userId.S>, '
            '"plan": <$.body.dynamodb.NewImage.plan.S>, "version": <$.body.dynamodb.NewImage.version.N>}'
        ),
        repeats="a partner ignores an event id that it has seen",
        opts=pulumi.ResourceOptions(depends_on=[webhooks]),
    )
    parts.append(webhooks)
    pulumi.export("webhookBus", webhooks.bus.name)
    pulumi.export("webhookArchive", webhooks.archive.arn)
    pulumi.export("webhookDeadLetters", partner.dead_letters.url)

if config.signed_webhook_url is not None:
    changes.subscribe(
        webhook_sender.handler,
        access=[kept_secret("webhook-secret", config.signed_webhook_secret, "WEBHOOK_SECRET")],
        environment={"WEBHOOK_URL": config.signed_webhook_url},
        repeats="a subscriber ignores an event id that it has seen",
    )

if config.onboarding:
    onboardings = ProjectionTable("onboardings", hash_key="upgrade", deletion_protection=config.protect)
    workflow = Workflow(
        "onboarding",
        definition="handlers/onboarding.asl.json",
        access=[onboardings.access("ONBOARDINGS_TABLE")],
        approvals="APPROVALS_QUEUE",
        alarm_actions=[alarms.arn],
    )
    parts.append(workflow)
    changes.subscribe(onboarding.handler, access=[workflow.start_access("ONBOARDING_WORKFLOW")])

    pulumi.export("onboardingsTable", onboardings.table.name)
    pulumi.export("onboardingWorkflow", workflow.machine.arn)
    pulumi.export("onboardingApprovals", workflow.approvals and workflow.approvals.url)

if config.accounts:
    accounts = ChangeTable("accounts", hash_key="accountId", deletion_protection=config.protect)
    api.route(
        "POST /accounts/{accountId}",
        account_api.handler,
        access=[accounts.update_access("ACCOUNTS_TABLE")],
        settings=replace(function, timeout=10),
    )
    account_changes = FanOut(
        "account-changes",
        source=accounts.stream,
        delivery=QueueDelivery(attempts=config.attempts),
        function=function,
        alarm_actions=[alarms.arn],
    )
    routes.append(account_changes)
    reconciled["account-reconciliation"] = accounts, account_changes
    waiting = Sequencer(
        "waiting",
        timed_out=account_ready.overdue,
        access=[ledger.access(), mail.send_access()],
        function=function,
        deletion_protection=config.protect,
        alarm_actions=[alarms.arn],
    )
    parts.append(waiting)
    brings = [waiting.access(), ledger.access(), mail.send_access()]
    changes.subscribe(account_ready.handler, access=brings)
    account_changes.subscribe(account_ready.handler, name="account-ready-accounts", access=brings)
    pulumi.export("accountsTable", accounts.table.name)
    pulumi.export("waitingTable", waiting.table.name)
    pulumi.export("timeOuts", waiting.time_outs and waiting.time_outs.function.name)

reaching_out = replace(function, vpc=config.vpc)  # for backends in a VPC
if config.postgresql_url is not None:
    changes.subscribe(
        read_model_sql.handler,
        access=[kept_secret("postgresql-password", config.postgresql_password, "POSTGRESQL_PASSWORD_SECRET")],
        environment={"POSTGRESQL_URL": config.postgresql_url},
        requirements="requirements/postgresql.txt",
        function=reaching_out,
    )

if config.cache_url is not None:
    changes.subscribe(
        read_model_cache.handler,
        access=[kept_secret("cache-password", config.cache_password, "CACHE_PASSWORD_SECRET")],
        environment={"CACHE_URL": config.cache_url},
        requirements="requirements/redis.txt",
        function=reaching_out,
    )

if config.search_url is not None:
    changes.subscribe(
        search_index.handler,
        access=[search_access(config.search_domain_arn, search_index.users.index)],
        environment={"SEARCH_URL": config.search_url},
        requirements="requirements/search.txt",
        function=reaching_out,
    )

if config.leaderboard:
    upgrades = ProjectionTable("leaderboard", hash_key="day", range_key="place", deletion_protection=config.protect)
    changes.subscribe(leaderboard.handler, access=[upgrades.access("LEADERBOARD_TABLE")])
    pulumi.export("leaderboardTable", upgrades.table.name)

if isinstance(changes, FanOut) and config.backfill:
    backfill = Backfill(
        "backfill",
        table=users,
        fan_out=changes,
        consumers=config.backfill,
        exports=config.backfill_exports,
        alarm_actions=[alarms.arn],
    )
    parts.append(backfill)
    pulumi.export("backfill", backfill.state_machine.arn)

if config.reconciliation:  # of the consumers so far
    reconciliations = {
        name: Reconciliation(
            name,
            table=table,
            fan_out=fan_out,
            schedule=config.reconciliation_schedule,
            alarm_actions=[alarms.arn],
        )
        for name, (table, fan_out) in reconciled.items()
    }
    parts += reconciliations.values()
    machines = {name: each.state_machine.arn for name, each in reconciliations.items()}
    pulumi.export("reconciliation", machines["reconciliation"])
    pulumi.export("reconciliations", machines)

page = StreamDashboard("overview", routes=[*routes, *parts], actions=[alarms.arn])

pulumi.export("apiUrl", api.url)
pulumi.export("usersTable", users.table.name)
pulumi.export("streamArn", users.table.stream_arn)
pulumi.export("effectLedgerTable", ledger.table.name)
pulumi.export("alarmTopicArn", alarms.arn)
pulumi.export("dashboard", page.url)
export_for_operator([*routes, *parts], functions=api.functions)
