"""The code archive of a handler, and the import contract of its module."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from components import Refused
from components.data_files import data_files
from components.first_party import imported_files, imports_of
from components.import_contract import check_import
from components.package import NOT_DEPLOYED, handler_package, project_root
from handlers import upgrade_api, welcome_email
from local.deploy.archives import zipped

PROGRAM = Path(__file__).parents[3]
HANDLERS = [path.stem for path in sorted((PROGRAM / "handlers").glob("*.py")) if path.stem != "__init__"]


def test_an_archive_holds_the_handler_and_the_runtime_and_nothing_else() -> None:
    names = set(handler_package(welcome_email.__name__).assets)
    assert {"handlers/__init__.py", "handlers/welcome_email.py", "handlers/cdc/__init__.py"} <= names
    assert "handlers/upgrade_api.py" not in names
    assert not names & {f"handlers/cdc/{module}.py" for module in NOT_DEPLOYED}
    assert all(name.endswith(".py") and "__pycache__" not in name for name in names)


SHARED = {
    "handlers/mine.py": """
from __future__ import annotations
from typing import TYPE_CHECKING
import texts.mails
from handlers.cdc import client, lazy_import
from .parts import prices
if TYPE_CHECKING:
    from components import Stream
slow = lazy_import("reports.yearly")

def handler(change: Stream) -> None:
    from handlers import late
""",
    "handlers/late.py": "",
    "handlers/unused.py": "",
    "handlers/parts/__init__.py": "",
    "handlers/parts/prices.py": "from ..rounding import cents",
    "handlers/rounding.py": "cents = 2",
    "texts/__init__.py": "",
    "texts/mails.py": "import texts.signature, json",
    "texts/signature.py": "",
    "reports/yearly.py": "",
    "components/__init__.py": "",
}


def test_an_archive_holds_the_modules_that_the_handler_imports_directly_or_through_others(
    handler, tmp_path: Path
) -> None:
    for name, source in SHARED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    assert handler(SHARED["handlers/mine.py"]) == ""
    names = {path.relative_to(tmp_path).as_posix() for path in imported_files("handlers.mine", tmp_path)}
    assert names == {*SHARED, "handlers/__init__.py"} - {"handlers/unused.py", "components/__init__.py"}


#: Data files in handlers/ and below it, where no modules are.
BESIDE = {"handlers/limits.json", "handlers/templates/mail.html", "handlers/templates/de/mail.html"}

#: How a module reads data files, and those that are packed then.
READING = {
    "beside it": ("import json\ndef f(): return (Path(__file__).parent / 'limits.json').read_text()", BESIDE),
    "in its package": ("from importlib.resources import files\ndef f(): files(__package__)", BESIDE),
    "in a package that it imports": (
        "from importlib import resources\nimport texts\ndef f(): resources.files(texts)",
        BESIDE | {"texts/mail.txt"},
    ),
    "in a package that it names": (
        "import importlib.resources as r\ndef f(): r.files('texts') / 'mail.txt'",
        BESIDE | {"texts/mail.txt"},
    ),
    "in a package without code": (
        "import pkgutil\ndef f(): pkgutil.get_data('queries', 'a.sql')",
        BESIDE | {"queries/a.sql"},
    ),
    "not at all": ("import texts", set[str]()),
}


@pytest.mark.parametrize("how", READING)
def test_data_files_are_packed_where_a_module_reads_them(handler, tmp_path: Path, how: str) -> None:
    source, expected = READING[how]
    for name in (*BESIDE, "handlers/.env", "handlers/other/mine.sql", "handlers/other/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for name in ("texts/__init__.py", "texts/mail.txt", "queries/a.sql"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert handler(f"from pathlib import Path\n{source}") == ""
    names = set(handler_package("handlers.mine").assets)
    assert {name for name in names if not name.endswith(".py")} == expected
    assert ("texts/__init__.py" in names) == ("texts" in source)


def test_a_packed_data_file_is_read_from_the_unpacked_archive(handler, tmp_path: Path) -> None:
    for name, text in {"texts/__init__.py": "", "texts/mail.txt": "Welcome", "handlers/limits.json": "[3]"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    source = """
from importlib.resources import files
from pathlib import Path

def both() -> str:
    return files("texts").joinpath("mail.txt").read_text() + Path(__file__).with_name("limits.json").read_text()
"""
    assert handler(source) == ""
    with zipfile.ZipFile(BytesIO(zipped(handler_package("handlers.mine")))) as archive:
        archive.extractall(tmp_path / "task")
    code = "import sys; sys.path.insert(0, sys.argv[1]); from handlers.mine import both; print(both())"
    command = [sys.executable, "-I", "-S", "-c", code, str(tmp_path / "task")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "Welcome[3]\n"


def test_a_module_of_the_projects_own_directory_reads_no_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("HERE = __file__")
    with pytest.raises(Refused, match=r"mine\.py: reads files beside it.*move the module and its files into a package"):
        data_files([tmp_path / "mine.py"], tmp_path)


def test_the_runtime_does_not_need_the_modules_that_are_not_deployed(tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    archive.write_bytes(zipped(handler_package(welcome_email.__name__)))
    code = "import sys; sys.path.insert(0, sys.argv[1]); import handlers.welcome_email, handlers.cdc"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(archive)], check=True)
    assert {path.stem for path in (PROGRAM / "handlers" / "cdc").glob("*.py")} >= NOT_DEPLOYED


def test_the_same_code_gives_the_same_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "clone"
    shutil.copytree(PROGRAM / "handlers", copy / "handlers")
    files = sorted(handler_package(upgrade_api.__name__).assets)
    for name in reversed(files):
        (copy / name).touch()  # another time of change, another order

    first = zipped(handler_package(upgrade_api.__name__))
    assert first == zipped(handler_package(upgrade_api.__name__))
    with zipfile.ZipFile(BytesIO(first)) as archive:
        assert archive.namelist() == files
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_program_s_archives_list_their_files(program) -> None:
    for function in program("prod").all("Function"):
        __import__(function.inputs["handler"].rpartition(".")[0])
        assert set(function.inputs["code"].assets) == set(
            handler_package(function.inputs["handler"].rpartition(".")[0]).assets
        )


@pytest.mark.parametrize("module", ["__main__", "handlers.cdc.consumer"])
def test_the_program_and_the_runtime_are_no_handlers(module: str) -> None:
    with pytest.raises(Refused, match="only those are deployed: move the handler into a file of its own in handlers/"):
        project_root(module)


def test_a_module_that_nobody_imported_is_not_deployed() -> None:
    with pytest.raises(Refused, match=r"handlers\.nightly is not imported"):
        project_root("handlers.nightly")


def test_a_module_outside_of_the_project_is_not_deployed() -> None:
    with pytest.raises(Refused, match=r"json\.decoder lies outside of the project.*move the handler into handlers/"):
        project_root("json.decoder")


def test_the_runtime_imports_no_handler() -> None:
    runtime = re.compile(r"^\s*(?:from|import) handlers(?!\.cdc\b)", re.MULTILINE)
    assert [file.name for file in (PROGRAM / "handlers" / "cdc").glob("*.py") if runtime.search(file.read_text())] == []


@pytest.mark.parametrize("name", HANDLERS)
def test_every_handler_of_the_project_only_defines_itself(name: str) -> None:
    __import__(f"handlers.{name}")
    check_import(f"handlers.{name}")


@pytest.fixture
def handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a handler module from source, in a clone of its own, and says what the contract says of it."""
    shutil.copytree(PROGRAM / "handlers" / "cdc", tmp_path / "handlers" / "cdc")
    (tmp_path / "handlers" / "__init__.py").touch()

    def checked(source: str) -> str:
        (tmp_path / "handlers" / "mine.py").write_text(source)
        monkeypatch.setitem(sys.modules, "handlers.mine", _module(tmp_path / "handlers" / "mine.py"))
        check_import.cache_clear()
        imported_files.cache_clear()
        imports_of.cache_clear()
        try:
            check_import("handlers.mine")
        except Refused as broken:
            return str(broken)
        finally:
            check_import.cache_clear()
        return ""

    return checked


def _module(file: Path) -> object:
    module = type(sys)("handlers.mine")
    module.__file__ = str(file)
    return module


GOOD = """
import json, logging, os, re, tempfile, threading, urllib.request
from dataclasses import dataclass
from handlers.cdc import Change, EffectLedger, client, consumer, lazy_import

requests = lazy_import("requests")
ses = client("sesv2")
mails = EffectLedger(keep=None)

@consumer
def handler(change: Change) -> None:
    os.environ["MAIL_FROM"]
"""

CLIENTS = "make AWS clients with handlers.cdc.client(...), and do everything else inside the handler"
LEAVES = "which is not deployed: move what the handler needs of it into a module under handlers/"
READS = "read it inside the handler: at deploy time it is not set"


def test_a_handler_may_use_the_standard_library_and_the_runtime(handler) -> None:
    assert handler(GOOD) == ""


@pytest.mark.parametrize(
    "source",
    [
        "from botocore.exceptions import ClientError, EndpointConnectionError",
        "import botocore.exceptions",
        "import botocore.exceptions as errors\nclass Mine(errors.ClientError): ...",
    ],
)
def test_a_handler_may_name_the_exceptions_of_botocore_which_do_no_io(handler, source: str) -> None:
    assert handler(source) == ""


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import botocore.session", "botocore.session"),
        ("import botocore\nimport botocore.config", "botocore.config"),
        ("from botocore.exceptions import ClientError\nfrom botocore.config import Config", "botocore.config"),
        ("from botocore.exceptions import ClientError\nimport boto3", "boto3"),
    ],
)
def test_nothing_else_of_botocore_is_there_at_import(handler, source: str, module: str) -> None:
    line = source.count("\n") + 1
    assert handler(source).startswith(f"handlers/mine.py:{line}: imports {module} at import: ")


def test_a_name_that_botocore_does_not_have_is_named(handler) -> None:
    assert "cannot import name 'ClientErrr'" in handler("from botocore.exceptions import ClientErrr")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (
            "import boto3",
            (
                "1: imports boto3 at import: import it with handlers.cdc.lazy_import(...), or inside the handler; "
                "Lambda has the standard library and boto3 only"
            ),
        ),
        (
            "\nimport requests",
            "2: imports requests at import: import it with handlers.cdc.lazy_import(...), or inside the",
        ),
        ("import os\nos.environ['T']", f"2: reads the environment variable T at import: {READS}"),
        ("import os\nos.environ.get('T', '')", f"2: reads the environment variable T at import: {READS}"),
        ("import os\nos.getenv('T')", f"2: reads the environment variable T at import: {READS}"),
        ("import os\n'T' in os.environ", f"2: reads the environment variable T at import: {READS}"),
        ("import os\nos.environ.setdefault('T', '')", f"2: reads the environment variable T at import: {READS}"),
        ("import os\ndict(os.environ)", f"2: reads the environment at import: {READS}"),
        ("from os import environ\n\nenviron['T']", f"3: reads the environment variable T at import: {READS}"),
        ("import socket\nsocket.socket()", f"2: opens a network connection at import: {CLIENTS}"),
        (
            "from urllib.request import urlopen\nurlopen('http://127.0.0.1:9')",
            f"2: opens a network connection at import: {CLIENTS}",
        ),
        ("open('/etc/hosts')", "1: opens the file '/etc/hosts' at import: do it inside the handler"),
        (
            "from pathlib import Path\nPath('/tmp/x').write_text('')",
            "2: opens the file '/tmp/x' at import: do it inside the handler",
        ),
        ("import subprocess\nsubprocess.run(['true'])", "2: starts a process at import: do it inside the handler"),
        ("from threading import Thread\nThread().start()", "2: starts a thread at import: do it inside the handler"),
        (
            "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor().submit(print)",
            "2: starts a thread at import: do it inside the handler",
        ),
        ("from handlers.cdc.testing import change", f"1: imports handlers.cdc.testing, {LEAVES}"),
        ("def handler():\n    from components import Stream", f"2: imports components, {LEAVES}"),
        ("from handlers import other", f"1: imports ops, {LEAVES}"),
        (
            "import importlib\nimportlib.import_module('handlers.' + 'unnamed')",
            "2: imports handlers.unnamed at import: write it as an import statement: the archive holds",
        ),
        (
            "x = 1\n1 / 0",
            "2: raises ZeroDivisionError (division by zero) at import: make the module importable without",
        ),
        ("def f(:", "1: raises SyntaxError (invalid syntax (mine.py, line 1)) at import: "),
        ("import sys\nsys.exit(0)", "2: raises SystemExit (0) at import: "),
    ],
)
def test_a_breach_is_one_line_with_file_line_and_fix(handler, tmp_path: Path, source: str, line: str) -> None:
    (tmp_path / "handlers" / "other.py").write_text("import ops")
    (tmp_path / "handlers" / "unnamed.py").touch()
    for package in ("components", "ops"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    said = handler(source)
    assert said.startswith(f"handlers/{'other' if 'ops' in line else 'mine'}.py:{line}")
    assert "\n" not in said


def test_a_breach_in_a_function_that_the_module_calls_names_the_function_s_line(handler) -> None:
    said = handler("import os\n\ndef table():\n    return os.environ['T']\n\nTABLE = table()\n")
    assert said.startswith("handlers/mine.py:4: reads the environment variable T at import: ")


def test_a_module_that_ends_the_interpreter_is_refused_with_what_it_said(handler) -> None:
    said = handler("import os, sys\nsys.stderr.write('out of memory')\nsys.stderr.flush()\nos._exit(9)")
    assert said == "handlers.mine cannot be imported: out of memory"


def test_a_module_that_does_not_come_to_an_end_is_refused(handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.import_contract._TIMEOUT_SECONDS", 0.5)
    said = handler("import time\nwhile True: time.sleep(1)")
    assert said == "handlers.mine is still being imported after 0.5 s: do what takes time inside the handler"
