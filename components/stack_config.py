"""`StackConfig`: the configuration of a stack, typed and checked before anything is made.

The keys, their types and defaults stand in `Pulumi.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple
from urllib.parse import urlsplit

import pulumi
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import is_config_secret

from aws_semantics.limits import (
    FUNCTION_TIMEOUT,
    LOG_RETENTION_DAYS,
    QUEUE_RECEIVES,
    STREAM_MAPPING_RANGES,
    TOPIC_ARCHIVE_DAYS,
    Range,
)
from components.function_settings import Vpc
from components.table_walk import is_bucket

#: A schedule for what only a person starts.
BY_HAND = "by hand"

#: Keys of consumers that read a queue of their own.
NEED_FAN_OUT = (
    "accounts",
    "auditLog",
    "backfill",
    "cacheUrl",
    "crmUrl",
    "leaderboard",
    "onboarding",
    "postgresqlUrl",
    "reconciliation",
    "searchUrl",
    "signedWebhookUrl",
    "usersByEmail",
    "webhookUrl",
)

#: Keys that only have a meaning with another one.
BELONG_TO = {
    "auditDrop": "auditLog",
    "auditHash": "auditLog",
    "auditHashKey": "auditLog",
    "backfillExports": "backfill",
    "cachePassword": "cacheUrl",
    "crmToken": "crmUrl",
    "postgresqlPassword": "postgresqlUrl",
    "searchDomainArn": "searchUrl",
    "signedWebhookSecret": "signedWebhookUrl",
    "webhookKey": "webhookUrl",
}


class Server(NamedTuple):
    """The form of a server's address.

    Attributes:
        schemes: Schemes of connections that are encrypted, or can be.
        encrypted: Pattern of an address whose connection is encrypted.
        example: An address.
        password: The key of its password; `None` if there is none.
    """

    schemes: Sequence[str]
    encrypted: str
    example: str
    password: str | None


POSTGRESQL = Server(
    ("postgresql", "postgres"),
    r".*[?&]sslmode=(require|verify-ca|verify-full)(&.*)?",
    "postgresql://weir@db.example.com/app?sslmode=verify-full&sslrootcert=system",
    "postgresqlPassword",
)
SEARCH = Server(("https", "http"), r"https://.*", "https://search-users-abc.eu-west-1.es.amazonaws.com", None)
CACHE = Server(("rediss", "redis", "unix"), r"rediss://.*", "rediss://cache.example.com:6379/0", "cachePassword")


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """The settings that differ between stacks.

    Attributes:
        mail_from: The address mails come from; a secret one stays a secret.
        mail_identity_owned: Whether this stack owns the SES identity of that address.
        protect: Whether tables refuse to be deleted.
        fan_out: Whether each consumer has a queue of its own; else two at most read the stream themselves.
        archive_days: Days that the fan-out keeps every change for new consumers; 0 for none.
        function_timeout: Seconds an invocation of a consumer may run.
        attempts: Attempts before a fan-out's consumer parks a change.
        batch_size: Records per invocation at most, where consumers read the stream.
        batching_window: Seconds a batch may wait to fill there.
        retry_attempts: Retries before a record is given up there.
        log_retention_in_days: How long logs are kept.
        metrics: Whether functions record all metrics of the namespace `Weir`, or those with an alarm alone.
        audit_log: Whether every change is kept as an object in S3.
        audit_drop: Paths of attributes that the audit log leaves out.
        audit_hash: Paths of attributes that it has as a hash only.
        audit_hash_key: The key of these hashes, a secret in the state however it was given.
        users_by_email: Whether a table has the users by their e-mail.
        webhook_url: The address of a partner that gets every change of a user from an event bus; `None` for none.
        webhook_key: The key that EventBridge shows it, a secret in the state however it was given.
        signed_webhook_url: The address of a subscriber that gets each change of a plan, signed; `None` for none.
        signed_webhook_secret: The secret of these signatures, a secret in the state however it was given.
        onboarding: Whether each upgrade to a paid plan starts the onboarding workflow.
        accounts: Whether users have accounts, and get a mail once they have a paid plan and an account.
        postgresql_url: The PostgreSQL database of the users' read model, without a password; `None` for none.
        postgresql_password: Its password, a secret in the state however it was given.
        cache_url: The Redis or Valkey server of the users' cache, without a password; `None` for none.
        cache_password: Its password, a secret in the state however it was given; `None` for none.
        search_url: The OpenSearch engine of the users' index; `None` for none.
        search_domain_arn: ARN of its domain; `None` for an engine that is not AWS's.
        vpc: The VPC of the consumers whose backends are in one; `None` for none.
        leaderboard: Whether a table has the most recent upgrades of each day.
        backfill: Names of the consumers that a walk gives the table's items to.
        backfill_exports: ARN of the bucket that the walk may read exports of the table from; `None` for none.
        reconciliation: Whether a walk over the table looks for effects that are missing.
        reconciliation_schedule: Time of that walk as EventBridge Scheduler writes it; `None` for one by hand.
        alarm_email: The address that alarms are mailed to; `None` for none.
        crm_url: The address of the CRM, over HTTPS beyond this machine; without one nothing is synchronised.
        crm_token: The CRM's bearer token, a secret in the state however it was given.
    """

    mail_from: pulumi.Input[str]
    mail_identity_owned: bool
    protect: bool
    fan_out: bool
    archive_days: int
    function_timeout: int
    attempts: int
    batch_size: int
    batching_window: int
    retry_attempts: int
    log_retention_in_days: int
    metrics: bool
    crm_url: str | None
    crm_token: pulumi.Output[str] | None
    audit_log: bool
    audit_drop: Sequence[str]
    audit_hash: Sequence[str]
    audit_hash_key: pulumi.Output[str] | None
    users_by_email: bool
    webhook_url: str | None
    webhook_key: pulumi.Output[str] | None
    signed_webhook_url: str | None
    signed_webhook_secret: pulumi.Output[str] | None
    onboarding: bool
    accounts: bool
    postgresql_url: str | None
    postgresql_password: pulumi.Output[str] | None
    cache_url: str | None
    cache_password: pulumi.Output[str] | None
    search_url: str | None
    search_domain_arn: str | None
    vpc: Vpc | None
    leaderboard: bool
    backfill: Sequence[str]
    backfill_exports: str | None
    reconciliation: bool
    reconciliation_schedule: str | None
    alarm_email: pulumi.Input[str] | None

    @classmethod
    def load(cls) -> StackConfig:
        """Read the configuration of the running program's stack.

        Raises:
            pulumi.RunError: Values are missing or wrong, one line each; Pulumi prints it without a traceback.
        """
        reader = _Reader(pulumi.Config())
        config = cls(
            mail_from=reader.address("mailFrom") or "",
            mail_identity_owned=reader.boolean("mailIdentityOwned"),
            protect=reader.boolean("protect"),
            fan_out=reader.boolean("fanOut"),
            archive_days=reader.number("archiveDays", Range(0, TOPIC_ARCHIVE_DAYS.maximum), "days"),
            function_timeout=reader.number("functionTimeout", FUNCTION_TIMEOUT, "seconds"),
            attempts=reader.number("attempts", QUEUE_RECEIVES, "attempts"),
            batch_size=reader.number("batchSize", STREAM_MAPPING_RANGES["BatchSize"], "records"),
            batching_window=reader.number(
                "batchingWindow", STREAM_MAPPING_RANGES["MaximumBatchingWindowInSeconds"], "seconds"
            ),
            retry_attempts=reader.number("retryAttempts", STREAM_MAPPING_RANGES["MaximumRetryAttempts"], "retries"),
            log_retention_in_days=reader.choice("logRetentionDays", LOG_RETENTION_DAYS),
            metrics=reader.boolean("weirMetrics"),
            crm_url=reader.url("crmUrl"),
            crm_token=reader.secret("crmToken"),
            audit_log=reader.boolean("auditLog"),
            audit_drop=reader.paths("auditDrop"),
            audit_hash=reader.paths("auditHash"),
            audit_hash_key=reader.secret("auditHashKey"),
            users_by_email=reader.boolean("usersByEmail"),
            webhook_url=reader.url("webhookUrl"),
            webhook_key=reader.secret("webhookKey"),
            signed_webhook_url=reader.url("signedWebhookUrl"),
            signed_webhook_secret=reader.secret("signedWebhookSecret"),
            onboarding=reader.boolean("onboarding"),
            accounts=reader.boolean("accounts"),
            postgresql_url=reader.server("postgresqlUrl", POSTGRESQL),
            postgresql_password=reader.secret("postgresqlPassword"),
            cache_url=reader.server("cacheUrl", CACHE),
            cache_password=reader.secret("cachePassword"),
            search_url=reader.server("searchUrl", SEARCH),
            search_domain_arn=reader.arn("searchDomainArn", "es"),
            vpc=reader.vpc("vpcSubnetIds", "vpcSecurityGroupIds"),
            leaderboard=reader.boolean("leaderboard"),
            backfill=reader.names("backfill"),
            backfill_exports=reader.bucket("backfillExports"),
            reconciliation=reader.boolean("reconciliation"),
            reconciliation_schedule=reader.schedule("reconciliationSchedule"),
            alarm_email=reader.address("alarmEmail", required=False),
        )
        if config.crm_url is not None and config.crm_token is None:
            reader.refuse("crmToken", "is missing, and crmUrl is set: run  pulumi config set --secret crmToken TOKEN")
        if config.webhook_url is not None and config.webhook_key is None:
            reader.refuse(
                "webhookKey", "is missing, and webhookUrl is set: run  pulumi config set --secret webhookKey KEY"
            )
        if config.signed_webhook_url is not None and config.signed_webhook_secret is None:
            reader.refuse(
                "signedWebhookSecret",
                "is missing, and signedWebhookUrl is set: run  openssl rand -hex 32 | pulumi config set --secret "
                "signedWebhookSecret",
            )
        if config.audit_hash and config.audit_hash_key is None:
            reader.refuse(
                "auditHashKey",
                "is missing, and auditHash is set: run  openssl rand -hex 32 | pulumi config set --secret auditHashKey",
            )
        if config.postgresql_url is not None and config.postgresql_password is None:
            reader.refuse(
                "postgresqlPassword",
                "is missing, and postgresqlUrl is set: run  pulumi config set --secret postgresqlPassword PASSWORD",
            )
        if config.search_url is not None and ".es.amazonaws.com" in config.search_url and not config.search_domain_arn:
            reader.refuse(
                "searchDomainArn",
                "is missing, and searchUrl is a domain of AWS: run  pulumi config set searchDomainArn ARN",
            )
        for key, of in BELONG_TO.items():
            if reader.is_set(key) and not reader.is_set(of):
                reader.refuse(key, f"is set, and {of} is not, so that nothing uses it: run  pulumi config set {of} …")
        if not config.fan_out:
            for key in NEED_FAN_OUT:
                if reader.is_set(key):
                    reader.refuse(key, "is set, and fanOut is false: a stream itself serves no more than two consumers")
        reader.raise_problems()
        if config.archive_days and not config.protect:
            # AWS does not delete a topic with an archive.
            reader.refuse(
                "archiveDays",
                f"is {config.archive_days} and protect is false: the stack could not be destroyed; run  pulumi config "
                "set archiveDays 0  and  pulumi up  first",
            )
        reader.raise_problems()
        return config


class _Reader:
    """Reads every key before it complains, so that all mistakes show at once."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self._read: set[str] = set()
        self._problems: list[str] = []

    def address(self, key: str, *, required: bool = True) -> pulumi.Input[str] | None:
        value = self._get(key) or None  # Pulumi.yaml's default for "not set" is the empty text
        if value is None:
            if required:
                self._problems.append(f"{key} is missing: run  pulumi config set {key} hello@example.com")
            return None
        secret = self._is_secret(key)
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
            found = "a secret" if secret else repr(value)
            self._problems.append(f"{key} is {found}, which is not an email address: write hello@example.com")
        return self._config.require_secret(key) if secret else value

    def url(self, key: str) -> str | None:
        value = self._plain(key) or None
        if value is not None and not re.fullmatch(r"https://[^\s/]+\S*|http://127\.0\.0\.1(:\d+)?(/\S*)?", value):
            self._problems.append(
                f"{key} is {value!r}, over which a token would travel in clear: write https://crm.example.com/api"
            )
        return None if value is None else value.rstrip("/")

    def server(self, key: str, form: Server) -> str | None:
        value = self._plain(key) or None
        if value is None:
            return None
        parts = urlsplit(value)
        here = (
            parts.hostname in ("127.0.0.1", "localhost")
            or parts.scheme == "unix"
            or re.search(r"[?&]host=(/|%2F)", value) is not None
        )
        if parts.password:
            instead = "" if form.password is None else f", and run  pulumi config set --secret {form.password} PASSWORD"
            self._problems.append(
                f"{key} holds a password, which would stand in a function's environment: take it away{instead}"
            )
        elif parts.scheme not in form.schemes or not (parts.hostname or here):
            self._problems.append(f"{key} is {value!r}: write {form.example}")
        elif not here and not re.fullmatch(form.encrypted, value):
            self._problems.append(f"{key} is {value!r}, whose data would travel in clear: write {form.example}")
        return value

    def arn(self, key: str, service: str) -> str | None:
        value = self._plain(key) or None
        if value is not None and not re.fullmatch(rf"arn:[\w-]+:{service}:[\w-]+:\d{{12}}:\S+", value):
            self._problems.append(f"{key} is {value!r}: write arn:aws:{service}:eu-west-1:123456789012:domain/users")
        return value

    def bucket(self, key: str) -> str | None:
        value = self._plain(key) or None
        if value is not None and not is_bucket(value):
            self._problems.append(f"{key} is {value!r}: write arn:aws:s3:::exports, or arn:aws:s3:::exports/users")
        return value

    def vpc(self, subnets: str, groups: str) -> Vpc | None:
        ids = {key: [each.strip() for each in (self._plain(key) or "").split(",") if each] for key in (subnets, groups)}
        if not any(ids.values()):
            return None
        for key, found in ids.items():
            if not found or not all(re.fullmatch(r"(subnet|sg)-[0-9a-f]+", each) for each in found):
                example = "subnet-0a1b,subnet-0c2d" if key == subnets else "sg-0a1b"
                self._problems.append(f"{key} is {','.join(found)!r}: a VPC needs both keys; write {example}")
        return Vpc(subnet_ids=ids[subnets], security_group_ids=ids[groups])

    def secret(self, key: str) -> pulumi.Output[str] | None:
        if not self._get(key):
            return None
        if not self._is_secret(key):
            pulumi.log.warn(
                f"Pulumi.{pulumi.get_stack()}.yaml: {self._config.name}:{key} stands in clear: run  "
                f"pulumi config set --secret {key} VALUE"
            )
        return self._config.require_secret(key)

    def names(self, key: str) -> Sequence[str]:
        value = self._plain(key) or ""
        return [each.strip() for each in value.split(",")] if value else []

    def schedule(self, key: str) -> str | None:
        value = self._plain(key)
        written = re.fullmatch(r"cron\(\S+( \S+){5}\)|rate\([1-9]\d* (minute|hour|day)s?\)", value or "")
        if not written and value != BY_HAND:
            self._problems.append(
                f"{key} is {_found(value)}: write cron(0 3 * * ? *), rate(6 hours), or {BY_HAND} for only when it is "
                "started"
            )
        return value if written else None

    def paths(self, key: str) -> Sequence[str]:
        value = self._plain(key) or ""
        paths = [each.strip() for each in value.split(",")] if value else []
        if any(not re.fullmatch(r"[^.\s]+(\.[^.\s]+)*", each) for each in paths):
            self._problems.append(f"{key} is {value!r}: write names of attributes, as in email,address.street")
        return paths

    def is_set(self, key: str) -> bool:
        return self._get(key) not in (None, "", "false")

    def boolean(self, key: str) -> bool:
        value = self._plain(key)
        if value not in ("true", "false"):
            self._problems.append(f"{key} is {_found(value)}: write true or false")
        return value == "true"

    def number(self, key: str, allowed: Range, unit: str) -> int:
        value = self._plain(key)
        if value is None or not re.fullmatch(r"-?\d+", value) or int(value) not in allowed:
            self._problems.append(f"{key} is {_found(value)}: AWS takes {allowed} {unit}")
            return allowed.maximum
        return int(value)

    def choice(self, key: str, allowed: tuple[int, ...]) -> int:
        value = self._plain(key)
        if value is None or not value.isdecimal() or int(value) not in allowed:
            self._problems.append(f"{key} is {_found(value)}: AWS takes one of {', '.join(map(str, allowed))}")
            return allowed[0]
        return int(value)

    def refuse(self, key: str, why: str) -> None:
        self._problems.append(f"{key} {why}")

    def raise_problems(self) -> None:
        """Raise what was wrong; otherwise warn of keys that look like misspelt ones."""
        project, stack = self._config.name, pulumi.get_stack()
        if self._problems:
            raise pulumi.RunError(
                "\n".join(
                    [f"Pulumi.{stack}.yaml: {project}:{problem}" for problem in self._problems]
                    + [f"Pulumi.{stack}.yaml: {each}" for each in self._misplaced(project)]
                )
            )
        for each in self._misplaced(project):
            pulumi.log.warn(f"Pulumi.{stack}.yaml: {each}")

    def _misplaced(self, project: str) -> list[str]:
        """Name keys that nobody reads: misspelt ones, and those of the project's former name."""
        found: list[str] = []
        for full in sorted(pulumi_config.CONFIG.get()):
            space, _, key = full.partition(":")
            meant = get_close_matches(key, self._read, n=1)
            if space == project and key not in self._read and meant:
                found.append(f"{full} is read by nothing: did you mean {project}:{meant[0]}?")
            if space not in ("aws", "pulumi", project) and key in self._read:
                found.append(
                    f"{full} is of a project named {space}, and this one is named {project}: write {project}:{key}"
                )
        return found

    def _plain(self, key: str) -> str | None:
        value = self._get(key)
        if self._is_secret(key):
            self._problems.append(
                f"{key} is a secret, and numbers and switches become settings of resources, which are kept in clear: "
                f"run  pulumi config rm {key}  and set it without --secret"
            )
        return value

    def _get(self, key: str) -> str | None:
        self._read.add(key)
        return self._config.get(key)

    def _is_secret(self, key: str) -> bool:
        return is_config_secret(f"{self._config.name}:{key}")


def _found(value: str | None) -> str:
    return "missing" if value is None else repr(value)
