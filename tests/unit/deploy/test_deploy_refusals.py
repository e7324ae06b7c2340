"""Refusals of `deploy` before its first call, each one clear message."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.deploy import DeployFailed, deploy
from local.endpoint.clients import Connection

PROGRAM = Path(__file__).parents[3]
EAGER = """import boto3

from handlers.cdc import Change, consumer

ses = boto3.client("ses", region_name="us-east-1")


@consumer
def handler(change: Change) -> None: ...
"""
#: Nothing listens there.
NOWHERE = Connection("http://127.0.0.1:9", "us-east-1", "123456789012", "key", "secret")


def failure(directory: Path, main: str, config: str = "  aws:region: us-east-1\n", **options: object) -> str:
    (directory / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (directory / "Pulumi.dev.yaml").write_text(f"config:\n{config}")
    (directory / "__main__.py").write_text(main)
    with pytest.raises(DeployFailed) as failed:
        deploy(directory, "dev", NOWHERE, **options)
    return str(failed.value)


def test_a_stack_without_a_region(tmp_path: Path) -> None:
    assert failure(tmp_path, "", "  a:b: 1\n") == (
        "Pulumi.dev.yaml: aws:region is missing: run  pulumi config set aws:region us-east-1"
    )


def test_a_stack_of_another_region_than_the_endpoint_s(tmp_path: Path) -> None:
    assert failure(tmp_path, "", "  aws:region: eu-west-1\n") == (
        "Pulumi.dev.yaml: aws:region is eu-west-1, and the endpoint plays us-east-1: start it for the stack's region"
    )


def test_wrong_files(tmp_path: Path) -> None:
    assert failure(tmp_path, "", "  key: 1\n") == "Pulumi.dev.yaml: key has no namespace: write <project>:key"


def test_a_refusal_of_the_program_itself(tmp_path: Path) -> None:
    assert failure(tmp_path, "import pulumi\nraise pulumi.RunError('mailFrom is missing')") == "mailFrom is missing"


def test_a_mistake_in_the_program_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("\nimport os\nTABLE = os.environ['NO_SUCH_VARIABLE']\n")
    assert failure(tmp_path, "import helper") == "helper.py:3: KeyError: 'NO_SUCH_VARIABLE'"


def test_a_type_that_the_table_does_not_know(tmp_path: Path) -> None:
    message = failure(tmp_path, "import pulumi_aws as aws\naws.kinesis.VideoStream('changes')")
    refused = "changes (aws:kinesis/videoStream:VideoStream): this type cannot be deployed on this machine: "
    assert message.startswith(refused)
    assert "aws:dynamodb/table:Table" in message


def test_inputs_that_the_provider_would_refuse_one_line_each(tmp_path: Path) -> None:
    main = "import pulumi_aws as aws\naws.sns.Topic('t', display_name=5, fifo_topic='yes')"
    assert sorted(failure(tmp_path, main).splitlines()) == [
        "t (aws:sns/topic:Topic): displayName is int, not str",
        "t (aws:sns/topic:Topic): fifoTopic is str, not bool",
    ]


def test_everything_that_cannot_be_created_is_told_at_once(tmp_path: Path) -> None:
    main = "import pulumi_aws as aws\naws.kinesis.VideoStream('a')\naws.ecr.Repository('b')\naws.sns.Topic('c', name=5)"
    assert sorted(line.split(" ")[0] for line in failure(tmp_path, main).splitlines()) == ["a", "b", "c"]


def test_a_handler_that_opens_a_client_at_import_is_one_line(tmp_path: Path) -> None:
    for name in ("aws_semantics", "components", "handlers"):
        shutil.copytree(PROGRAM / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "handlers" / "eager.py").write_text(EAGER)
    main = (
        "from components import Stream, StreamSource\nfrom handlers import eager\n"
        "Stream('s', source=StreamSource(arn='arn:t/stream/1', table='t')).subscribe(eager.handler)\n"
    )
    assert failure(tmp_path, main) == (
        "handlers/eager.py:1: imports boto3 at import: "
        "import it with handlers.cdc.lazy_import(...), or inside the handler; "
        "Lambda has the standard library and boto3 only"
    )


def test_a_handler_that_fails_at_import_is_one_line_with_the_rule_it_broke(tmp_path: Path) -> None:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "__init__.py").touch()
    (tmp_path / "handlers" / "eager.py").write_text("import os\nTABLE = os.environ['NO_SUCH_VARIABLE']\n")
    assert failure(tmp_path, "from handlers import eager") == (
        "handlers/eager.py:2: KeyError: 'NO_SUCH_VARIABLE' (a handler module only defines itself when it is imported: "
        "make AWS clients with handlers.cdc.client(...), and do everything else inside the handler)"
    )


def test_changed_inputs_are_checked_like_the_program_s_own(tmp_path: Path) -> None:
    message = failure(
        tmp_path,
        "import pulumi_aws as aws\naws.sns.Topic('t')",
        change_inputs=lambda registration: {**registration.inputs, "nmae": registration.name},
    )
    assert message == "t (aws:sns/topic:Topic): nmae is not a known property"


def test_what_needs_the_real_engine(tmp_path: Path) -> None:
    message = failure(tmp_path, "import pulumi_aws as aws\naws.sns.Topic.get('t', 'arn')")
    assert message.startswith(
        "t (aws:sns/topic:Topic) is read with .get(), and there is nothing to read yet: to stand in"
    )


def test_a_function_of_the_provider_that_is_not_known(tmp_path: Path) -> None:
    main = "import pulumi, pulumi_aws as aws\npulumi.export('z', aws.get_availability_zones_output().id)"
    message = failure(tmp_path, main)
    assert message.startswith(
        "aws:index/getAvailabilityZones:getAvailabilityZones is a function that cannot be answered on this machine"
    )


def test_arguments_of_a_function_that_would_be_ignored(tmp_path: Path) -> None:
    main = "import pulumi, pulumi_aws as aws\npulumi.export('r', aws.get_region_output(region='eu-west-1').region)"
    assert failure(tmp_path, main) == ("aws:index/getRegion:getRegion: region would be ignored: leave it out")


def test_an_endpoint_that_does_not_answer_names_the_resource(tmp_path: Path) -> None:
    message = failure(tmp_path, "import pulumi_aws as aws\naws.sns.Topic('t')")
    assert message.startswith('t (aws:sns/topic:Topic): Could not connect to the endpoint URL: "http://127.0.0.1:9')


def handler_failure(tmp_path: Path, text: str) -> str:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "__init__.py").touch()
    (tmp_path / "handlers" / "cdc").symlink_to(PROGRAM / "handlers" / "cdc")
    (tmp_path / "handlers" / "mine.py").write_text(text)
    return failure(tmp_path, "from handlers import mine")


def test_a_handler_that_is_no_python_is_named_with_its_own_line(tmp_path: Path) -> None:
    assert handler_failure(tmp_path, "\ndef handler(:\n") == (
        "handlers/mine.py:2: SyntaxError: invalid syntax: def handler(:"
    )


def test_a_wrong_condition_is_named_with_the_handlers_line_and_not_the_runtimes(tmp_path: Path) -> None:
    assert handler_failure(tmp_path, "from handlers.cdc import on\nWHEN = on.modify and on.insert\n") == (
        "handlers/mine.py:2: TypeError: a condition has no truth value of its own: combine conditions with & | ~ "
        "instead of and, or, not, and call it to ask about a change"
    )


def test_a_program_that_exits_says_where(tmp_path: Path) -> None:
    assert handler_failure(tmp_path, "import sys\nsys.exit(3)\n").startswith("handlers/mine.py:2: SystemExit: 3")
