"""The pack as the engine starts it: a process of its own, `python -u -m pulumi.policy`, asked over gRPC.

Two packs: the one in the clone, and the gathered one from an empty folder. `make test-policy-pack` runs the gathered
one in a virtual environment of its own (WEIR_POLICY_PYTHON); without that it gets this environment's packages, but not
the clone that is installed in it.
"""

import hashlib
import os
import shutil
import site
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2 as analyzer
from pulumi.runtime.proto import analyzer_pb2_grpc

from policies.rules import all_rules
from tests.policy.engine import analyze_request, deployed, example, preview, stack_request
from tools.policy_pack import CHECKSUMS, archive, gather, version

ROOT = Path(__file__).resolve().parents[2]

BAD = """
orders:
  type: aws:lambda:EventSourceMapping
  properties:
    functionName: orders
    eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
    startingPosition: LATEST
"""
EXPECTED = {
    "iterator-age-alarm",
    "mapping-bisect-on-error",
    "mapping-bounded-retries",
    "mapping-event-count-metrics",
    "mapping-on-failure-destination",
    "mapping-report-batch-item-failures",
    "starting-position",
}


def environment(**more: str) -> dict[str, str]:
    stack = {"PULUMI_PROJECT": "weir", "PULUMI_STACK": "dev", "PULUMI_ORGANIZATION": "acme", "PULUMI_DRY_RUN": "true"}
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", ""), "PULUMI_CONFIG": "{}", **stack, **more}


@pytest.fixture(scope="module", params=["clone", "gathered"])
def pack(request, tmp_path_factory) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    folder, command, env = ROOT / "policies", [sys.executable], environment()
    if request.param == "gathered":
        # The published pack is unpacked from its archive, into a folder of another name.
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        gather(elsewhere / "gathered")
        with tarfile.open(archive(elsewhere / "gathered", elsewhere)) as packed:
            packed.extractall(elsewhere, filter="data")
        folder = elsewhere / f"weir-policies-{version()}"
        own = os.environ.get("WEIR_POLICY_PYTHON")
        command = [own] if own else [sys.executable, "-S"]
        env = environment() if own else environment(PYTHONPATH=os.pathsep.join(site.getsitepackages()))
    process = subprocess.Popen(
        [*command, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(folder)],
        cwd=folder, env=env, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    with process, grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        yield analyzer_pb2_grpc.AnalyzerStub(channel)
        process.terminate()


def test_a_handshake_may_be_unimplemented(pack):
    with pytest.raises(grpc.RpcError) as refused:
        pack.Handshake(analyzer.AnalyzerHandshakeRequest(engine_address="127.0.0.1:1"))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_stack_is_configured_first(pack):
    assert pack.ConfigureStack(analyzer.AnalyzerStackConfigureRequest(stack="dev", project="weir", dry_run=True))


def test_the_pack_tells_its_rules_with_level_schema_and_page(pack):
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())
    told = {policy.name: policy for policy in info.policies}
    assert info.name == "weir"
    assert told.keys() == {rule.id for rule in all_rules()} | {"exemptions", "exemptions-check"}
    for rule in all_rules():
        policy = told[rule.id]
        assert analyzer.EnforcementLevel.Name(policy.enforcementLevel).lower() == rule.level
        assert policy.url == rule.docs
        assert set(policy.configSchema.properties.keys()) == {*rule.parameters, "exemptions"}
        assert policy.remediation_steps == rule.remediation


@pytest.mark.parametrize(("phase", "previewed"), [(preview, True), (deployed, False)])
def test_it_judges_a_program_resource_by_resource_and_as_a_stack(pack, phase, previewed):
    pack.Configure(analyzer.ConfigureAnalyzerRequest())
    program = phase(example(BAD, previewed=previewed))
    answers = [*(pack.Analyze(analyze_request(asked)) for asked in program), pack.AnalyzeStack(stack_request(program))]
    assert {diagnostic.policyName for answer in answers for diagnostic in answer.diagnostics} == EXPECTED


def test_a_level_from_the_configuration_counts(pack):
    properties = struct_pb2.Struct()
    pack.Configure(
        analyzer.ConfigureAnalyzerRequest(
            policyConfig={
                "starting-position": analyzer.PolicyConfig(enforcementLevel=analyzer.MANDATORY, properties=properties)
            }
        )
    )
    (asked,) = deployed(example(BAD, previewed=False))
    levels = {each.policyName: each.enforcementLevel for each in pack.Analyze(analyze_request(asked)).diagnostics}
    assert levels["starting-position"] == analyzer.MANDATORY
    assert levels["mapping-event-count-metrics"] == analyzer.ADVISORY


def test_a_gathered_pack_holds_no_more_than_it_needs(tmp_path):
    gather(tmp_path / "pack")
    shutil.rmtree(tmp_path / "pack" / "policies")
    packages = {path.parent.name for path in (tmp_path / "pack").glob("*/__init__.py")}
    assert packages == {"aws_semantics"}
    assert "--hash=sha256:" in (tmp_path / "pack" / "requirements.txt").read_text()
    assert "virtualenv: venv" in (tmp_path / "pack" / "PulumiPolicy.yaml").read_text()


def test_an_archive_is_the_same_for_the_same_pack_and_its_checksums_are_right(tmp_path):
    gather(tmp_path / "pack")
    first = archive(tmp_path / "pack", tmp_path / "dist")
    bytes_ = first.read_bytes()
    assert first.name == f"weir-policies-{version()}.tar.gz"
    told, name = (tmp_path / "dist" / f"{first.name}.sha256").read_text().split()
    assert (told, name) == (hashlib.sha256(bytes_).hexdigest(), first.name)
    gather(tmp_path / "pack")
    assert archive(tmp_path / "pack", tmp_path / "dist").read_bytes() == bytes_
    lines = [line.split("  ") for line in (tmp_path / "pack" / CHECKSUMS).read_text().splitlines()]
    files = {path for path in (tmp_path / "pack").rglob("*") if path.is_file() and path.name != CHECKSUMS}
    assert {tmp_path / "pack" / name for _, name in lines} == files
    assert all(told == hashlib.sha256((tmp_path / "pack" / name).read_bytes()).hexdigest() for told, name in lines)
