"""A Pulumi program run in this process: what is recorded, what is isolated, and what is refused."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.output import Unknown

from local.deploy.program import Created, DuplicateName, NotSupported, ProgramRun, Registration, run_program


class Recorder:
    """Answers every resource with an ARN, and remembers which threads asked."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def create(self, registration: Registration) -> Created:
        self.threads.add(threading.current_thread().name)
        if registration.name.startswith("broken"):
            raise ConnectionError(f"{registration.name} cannot be made")
        return Created(f"{registration.name}-id", {"arn": f"arn:{registration.name}"})

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"region": "eu-central-1", "id": "eu-central-1", "asked": dict(arguments)}

    def read(self, token: str, name: str) -> None:
        return None


def run(program: Any, **options: Any) -> ProgramRun:
    return run_program(program, Recorder(), **{"project": "p", "stack": "s", **options})


def named(done: ProgramRun, name: str) -> Registration:
    (found,) = [each for each in done.registrations if each.name == name]
    return found


class Pair(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Pair", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.topic = aws.sns.Topic(name, opts=child)
        self.queue = aws.sqs.Queue(
            name,
            visibility_timeout_seconds=30,
            tags={"topic": self.topic.arn},
            opts=pulumi.ResourceOptions(
                parent=self.topic,
                depends_on=[self.topic],
                delete_before_replace=True,
                ignore_changes=["tags"],
                replace_on_changes=["name"],
                retain_on_delete=True,
                aliases=[pulumi.Alias(name="former")],
            ),
        )
        self.register_outputs({"arn": self.queue.arn})


def test_urns_carry_the_types_of_all_parents() -> None:
    done = run(lambda: Pair("a"))
    assert [each.urn for each in done.registrations] == [
        "urn:pulumi:s::p::test:index:Pair::a",
        "urn:pulumi:s::p::test:index:Pair$aws:sns/topic:Topic::a",
        "urn:pulumi:s::p::test:index:Pair$aws:sns/topic:Topic$aws:sqs/queue:Queue::a",
    ]


def test_a_registration_is_recorded_whole() -> None:
    done = run(lambda: Pair("a", pulumi.ResourceOptions(protect=True)))
    topic = "urn:pulumi:s::p::test:index:Pair$aws:sns/topic:Topic::a"
    assert done.registrations[2] == Registration(
        urn=f"{topic.removesuffix('::a')}$aws:sqs/queue:Queue::a",
        type="aws:sqs/queue:Queue",
        name="a",
        custom=True,
        parent=topic,
        inputs={"visibilityTimeoutSeconds": 30, "tags": {"topic": "arn:a"}},
        dependencies=(topic,),
        property_dependencies={"visibilityTimeoutSeconds": (), "tags": (topic,)},
        protect=True,
        delete_before_replace=True,
        ignore_changes=("tags",),
        replace_on_changes=("name",),
        retain_on_delete=True,
        aliases=(f"{topic.removesuffix('::a')}$aws:sqs/queue:Queue::former",),
    )
    assert done.created[topic] == Created("a-id", {"arn": "arn:a"})
    assert done.component_outputs == {"urn:pulumi:s::p::test:index:Pair::a": {"arn": "arn:a"}}


def test_outputs_are_plain_values_also_of_secrets_and_whole_numbers() -> None:
    def program() -> None:
        pulumi.export("secret", pulumi.Output.secret("s3cret"))
        pulumi.export("numbers", {"whole": 3, "half": 0.5, "all": [1, 2]})
        pulumi.export("arn", aws.sns.Topic("t").arn)

    outputs = run(program).outputs
    assert outputs == {"secret": "s3cret", "numbers": {"whole": 3, "half": 0.5, "all": [1, 2]}, "arn": "arn:t"}
    assert isinstance(outputs["numbers"]["whole"], int)


def test_a_preview_creates_nothing_and_knows_only_what_the_program_says() -> None:
    def program() -> None:
        topic = aws.sns.Topic("t", display_name="known")
        aws.sqs.Queue("q", tags={"topic": topic.arn})
        pulumi.export("arn", topic.arn)
        pulumi.export("display", topic.display_name)
        pulumi.export("id", topic.id)

    done = run(program, preview=True)
    assert done.created == {}
    assert isinstance(named(done, "q").inputs["tags"]["topic"], Unknown)
    assert isinstance(done.outputs["arn"], Unknown)
    assert isinstance(done.outputs["id"], Unknown)
    assert done.outputs["display"] == "known"


def test_functions_are_answered_by_the_provider() -> None:
    assert run(lambda: pulumi.export("region", aws.get_region_output().region)).outputs == {"region": "eu-central-1"}


def test_two_resources_with_one_urn_are_refused() -> None:
    with pytest.raises(DuplicateName, match="two resources have the URN urn:pulumi:s::p::aws:sns/topic:Topic::t: give"):
        run(lambda: [aws.sns.Topic("t"), aws.sns.Topic("t")])


def test_the_first_failure_comes_out_unchanged_whatever_waited_for_it() -> None:
    def program() -> None:
        broken = aws.sns.Topic("broken")
        for number in range(5):
            aws.sqs.Queue(f"q{number}", tags={"topic": broken.arn})

    with pytest.raises(ConnectionError, match=r"^broken cannot be made$"):
        run(program)


def test_what_the_program_raises_comes_out_unchanged() -> None:
    def program() -> None:
        raise pulumi.RunError("mailFrom is missing")

    with pytest.raises(pulumi.RunError, match=r"^mailFrom is missing$"):
        run(program)


def test_runs_share_no_state_with_each_other_or_with_their_caller() -> None:
    def program() -> None:
        assert pulumi.Config("p").get("a") is None
        aws.sns.Topic("t")

    run(program, config={"p:b": "1"})
    run(program)
    assert pulumi.runtime.get_root_resource() is None


def test_resources_are_created_by_as_many_threads_as_asked_for() -> None:
    recorder = Recorder()
    run_program(lambda: [aws.sns.Topic(f"t{n}") for n in range(5)], recorder, project="p", stack="s", parallel=1)
    assert len(recorder.threads) == 1


def write_program(directory: Path, value: int) -> Path:
    (directory / "sub").mkdir(parents=True)
    (directory / "sub" / "__init__.py").write_text(f"VALUE = {value}\n")
    (directory / "helper.py").write_text("from sub import VALUE\n")
    (directory / "__main__.py").write_text(
        "import pulumi\nfrom helper import VALUE\npulumi.export('value', VALUE)\n"
        "pulumi.export('config', pulumi.Config('p').require('a'))\n"
        "pulumi.export('where', [pulumi.get_project(), pulumi.get_stack(), __name__])\n"
    )
    return directory


def test_each_program_in_a_directory_gets_modules_of_its_own(tmp_path: Path) -> None:
    first, second = write_program(tmp_path / "first", 1), write_program(tmp_path / "second", 2)
    before, path = set(sys.modules), list(sys.path)
    assert run(first, config={"p:a": "x"}).outputs == {"value": 1, "config": "x", "where": ["p", "s", "__main__"]}
    assert run(second, config={"p:a": "y"}).outputs["value"] == 2
    assert {name for name in set(sys.modules) - before if name.partition(".")[0] in ("sub", "helper")} == set()
    assert sys.path == path


def test_modules_of_the_caller_come_back_after_a_program_had_its_own(tmp_path: Path) -> None:
    import handlers

    directory = write_program(tmp_path / "program", 1)
    (directory / "handlers").mkdir()
    (directory / "handlers" / "__init__.py").write_text("MINE = True\n")
    (directory / "helper.py").write_text("from handlers import MINE\nVALUE = MINE\n")
    assert run(directory, config={"p:a": "x"}).outputs["value"] is True
    assert sys.modules["handlers"] is handlers


def test_messages_of_the_program_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "local.deploy.program"):
        run(lambda: pulumi.warn("the table is large"))
    assert ("local.deploy.program", logging.WARNING, "the table is large") in caplog.record_tuples


def unchanged(arguments: pulumi.ResourceTransformArgs) -> None:
    return None


def tagged(arguments: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    return pulumi.ResourceTransformationResult({**arguments.props, "display_name": "tagged"}, arguments.opts)


def test_transformations_run_in_the_program() -> None:
    done = run(lambda: aws.sns.Topic("t", opts=pulumi.ResourceOptions(transformations=[tagged])))
    assert named(done, "t").inputs == {"displayName": "tagged"}


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            lambda: aws.sns.Topic("t", opts=pulumi.ResourceOptions(transforms=[unchanged])),
            "^the program has transforms, which only the real engine runs, so they would be ignored: ",
        ),
        (
            lambda: pulumi.runtime.register_resource_transform(unchanged),
            "^the program has transforms, which only the real engine runs",
        ),
        (
            lambda: pulumi.StackReference("organization/network/prod"),
            "add  pulumi:pulumi:StackReference::organization/network/prod: {}  to p:localStubs",
        ),
        (lambda: aws.sns.Topic.get("t", "arn:t"), r"^t \(aws:sns/topic:Topic\) is read with .get\(\)"),
        (
            lambda: aws.sns.Topic("t", opts=pulumi.ResourceOptions(import_="arn:t")),
            r"^t \(aws:sns/topic:Topic\) has the option import_='arn:t', which needs the real engine",
        ),
        (
            lambda: aws.sns.Topic("t", opts=pulumi.ResourceOptions(provider=aws.Provider("other"))),
            r"^t \(aws:sns/topic:Topic\) has the option provider=",
        ),
        (
            lambda: aws.sns.Topic(
                "t",
                opts=pulumi.ResourceOptions(
                    hooks=pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook("check", unchanged)])
                ),
            ),
            "^the hook check would not run: only the real engine runs hooks",
        ),
        (
            lambda: pulumi.runtime.call("aws:index:method", {}),
            "^aws:index:method is a method of a resource, and only a provider plugin has methods",
        ),
    ],
)
def test_what_needs_the_real_engine_is_refused_by_name(program: Any, message: str) -> None:
    with pytest.raises(NotSupported, match=message):
        run(program)
