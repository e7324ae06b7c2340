"""`Pulumi.yaml` and `Pulumi.<stack>.yaml`, read as the CLI reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.deploy.stack_files import StackFilesInvalid, read_stack_files

PROJECT = """
name: shop
runtime: python
config:
  mailFrom: {type: string}
  retries: {type: integer, default: 12}
  protect: {type: boolean, default: true}
  regions: {type: array, items: {type: string}, default: [eu]}
  limits: {type: object, value: {a: 1}}
  ratio: {default: 0.5}
  plain: text
  token: {type: string, secret: true, default: none}
  aws:region: {type: string, default: eu-central-1}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    return tmp_path


def stack(directory: Path, config: str) -> Path:
    (directory / "Pulumi.dev.yaml").write_text(f"config:\n{config}")
    return directory


def problems(directory: Path, name: str = "dev") -> list[str]:
    with pytest.raises(StackFilesInvalid) as invalid:
        read_stack_files(directory, name)
    return str(invalid.value).splitlines()


def test_defaults_stand_where_the_stack_says_nothing_and_everything_becomes_text(directory: Path) -> None:
    files = read_stack_files(stack(directory, "  shop:mailFrom: a@example.com\n  other:key: 1.0\n"), "dev")
    assert (files.project, files.stack) == ("shop", "dev")
    assert files.config == {
        "shop:mailFrom": "a@example.com",
        "shop:retries": "12",
        "shop:protect": "true",
        "shop:regions": '["eu"]',
        "shop:limits": '{"a":1}',
        "shop:ratio": "0.5",
        "shop:plain": "text",
        "shop:token": "none",
        "aws:region": "eu-central-1",
        "other:key": "1",
    }


def test_overrides_take_the_place_of_the_stack_s_values(directory: Path) -> None:
    files = read_stack_files(
        stack(directory, "  shop:mailFrom: a@example.com\n"), "dev", {"shop:mailFrom": "b@example.com"}
    )
    assert files.config["shop:mailFrom"] == "b@example.com"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("shop:retries: 5", "5"),
        ("shop:retries: '5'", "5"),
        ("shop:retries: -1", "-1"),
        ("shop:protect: false", "false"),
        ("shop:protect: 'true'", "true"),
        ("shop:mailFrom: 5", "5"),
        ("shop:regions: [a, b]", '["a","b"]'),
        ("shop:limits: {a: {b: true}}", '{"a":{"b":true}}'),
    ],
)
def test_scalars_are_compared_as_text_like_the_cli_does(directory: Path, line: str, text: str) -> None:
    files = read_stack_files(stack(directory, f"  {line}\n"), "dev", {"shop:mailFrom": "5"})
    assert files.config[line.split(": ")[0]] == text


@pytest.mark.parametrize(
    ("line", "declared"),
    [
        ("shop:retries: many", "'many', and Pulumi.yaml declares it as integer"),
        ("shop:retries: 1.5", "1.5, and Pulumi.yaml declares it as integer"),
        ("shop:retries: true", "True, and Pulumi.yaml declares it as integer"),
        ("shop:protect: 'yes'", "'yes', and Pulumi.yaml declares it as boolean"),
        ("shop:protect: [true]", "[True], and Pulumi.yaml declares it as boolean"),
        ("shop:regions: eu", "'eu', and Pulumi.yaml declares it as array"),
        ("shop:regions: [[eu]]", "[['eu']], and Pulumi.yaml declares it as array"),
        ("shop:limits: 5", "5, and Pulumi.yaml declares it as object"),
        ("shop:mailFrom: {a: 1}", "{'a': 1}, and Pulumi.yaml declares it as string"),
    ],
)
def test_a_value_of_another_type_is_one_line(directory: Path, line: str, declared: str) -> None:
    given = "" if "mailFrom" in line else "  shop:mailFrom: a@example.com\n"
    assert problems(stack(directory, f"{given}  {line}\n")) == [f"Pulumi.dev.yaml: {line.split(': ')[0]} is {declared}"]


def test_a_missing_value_is_one_line_with_the_command_that_sets_it(directory: Path) -> None:
    assert problems(stack(directory, "  other:key: 1\n")) == [
        "Pulumi.dev.yaml: shop:mailFrom is missing: run  pulumi config set mailFrom …"
    ]


def test_secrets_are_refused_wherever_they_are(directory: Path) -> None:
    lines = problems(
        stack(
            directory,
            "  shop:mailFrom: {secure: v1:a}\n  other:list: [1, {secure: v1:a}]\n  other:map: {a: {secure: v1:a}}\n",
        )
    )
    assert [line.split(" is a secret, ")[0] for line in lines] == [
        "Pulumi.dev.yaml: shop:mailFrom",
        "Pulumi.dev.yaml: other:list",
        "Pulumi.dev.yaml: other:map",
    ]
    assert lines[0].endswith("give the stack that is deployed on this machine a plain value")


def test_a_secret_in_plain_text_is_refused(directory: Path) -> None:
    assert problems(stack(directory, "  shop:mailFrom: a@example.com\n  shop:token: abc\n")) == [
        "Pulumi.dev.yaml: shop:token is plain text, and Pulumi.yaml declares it as a secret"
    ]


def test_a_key_without_a_namespace_is_refused(directory: Path) -> None:
    assert problems(stack(directory, "  shop:mailFrom: a@example.com\n  retries: 5\n")) == [
        "Pulumi.dev.yaml: retries has no namespace: write <project>:retries"
    ]


@pytest.mark.parametrize(
    ("key", "hint"),
    [("shop:retry", "did you mean shop:retries?"), ("shop:colour", "declare it there, or take it away")],
)
def test_a_key_of_the_project_that_nobody_declared_is_refused(directory: Path, key: str, hint: str) -> None:
    assert problems(stack(directory, f"  shop:mailFrom: a@example.com\n  {key}: 5\n")) == [
        f"Pulumi.dev.yaml: {key} is not declared in Pulumi.yaml, so it would be ignored: {hint}"
    ]


def test_every_problem_is_found_in_one_go(directory: Path) -> None:
    assert len(problems(stack(directory, "  shop:retries: many\n  shop:protect: maybe\n  key: 1\n"))) == 4


def test_an_unknown_stack_is_refused_with_those_there_are(directory: Path) -> None:
    (directory / "Pulumi.prod.yaml").touch()
    assert problems(stack(directory, "  a:b: 1\n"), "staging") == [
        "Pulumi.staging.yaml does not exist, so there is no stack 'staging': the stacks are dev, prod"
    ]


def test_an_empty_stack_file_is_a_stack(directory: Path) -> None:
    (directory / "Pulumi.dev.yaml").touch()
    assert problems(directory) == ["Pulumi.dev.yaml: shop:mailFrom is missing: run  pulumi config set mailFrom …"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("config: [", "Pulumi.dev.yaml:2 is not YAML: "),
        ("- a", "Pulumi.dev.yaml is a list: it should hold keys and values"),
        ("config: \x00", "Pulumi.dev.yaml is not YAML: "),
    ],
)
def test_a_broken_file_is_one_line(directory: Path, content: str, message: str) -> None:
    (directory / "Pulumi.dev.yaml").write_text(content + "\n")
    (line,) = problems(directory)
    assert line.startswith(message)


def test_a_directory_without_a_program_is_one_line(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path}/Pulumi.yaml does not exist: name the directory of a Pulumi program"]


def test_a_project_without_a_name_is_one_line(directory: Path) -> None:
    (directory / "Pulumi.yaml").write_text("runtime: python\n")
    assert problems(stack(directory, "  a:b: 1\n")) == ["Pulumi.yaml: name is missing: give the project a name"]
