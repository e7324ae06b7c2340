"""The import contract: a handler module only defines itself when it is imported.

It is imported at deploy time, on a machine without its environment, its permissions or boto3's region, and in Lambda
from an archive that holds it, the project's modules that it imports and `handlers.cdc`. So at import it does no I/O,
reads no environment, starts nothing and needs the standard library and those modules alone; of botocore it may name the
exceptions. Each module is imported once in an interpreter of its own that watches for the opposite.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from components.first_party import module_names
from components.package import project_root
from components.refusal import Refused

_TIMEOUT_SECONDS = 30


class ImportContractBroken(Refused):
    """A handler module does more than define itself at import. One line: where, what, how to fix it."""


@functools.cache
def check_import(module: str) -> None:
    """Import `module`, e.g. `handlers.welcome_email`, in isolation.

    Raises:
        ImportContractBroken: It does I/O, reads the environment, starts a thread or a process, needs a module that
            is neither the standard library's nor the project's, raises, or does not come to an end.
        LeavesTheArchive: It imports a module of the project that is not deployed.
    """
    root = project_root(module)
    packed = module_names(module, root)
    try:
        watched = subprocess.run(  # noqa: S603 - our own interpreter, isolated: no site-packages, no environment
            [sys.executable, "-I", "-S", "-B", *_bytecode(), "-c", _WATCH, str(root), module, _packages(), *packed],
            env={},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ImportContractBroken(
            f"{module} is still being imported after {_TIMEOUT_SECONDS} s: do what takes time inside the handler"
        ) from None
    if watched.returncode == 0:
        return
    try:
        breach = json.loads(watched.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise ImportContractBroken(f"{module} cannot be imported: {watched.stderr.strip()}") from None
    raise ImportContractBroken(
        f"{_relative(breach['file'], root)}:{breach['line']}: {breach['what']} at import: {breach['fix']}"
    )


def _bytecode() -> list[str]:
    """Return the option to read compiled modules from where this interpreter keeps them."""
    return [] if sys.pycache_prefix is None else ["-X", f"pycache_prefix={sys.pycache_prefix}"]


def _packages() -> str:
    """Return the directory with botocore, whose exceptions a handler may name; empty if it is not installed."""
    found = importlib.util.find_spec("botocore")
    return "" if found is None or found.origin is None else str(Path(found.origin).parents[1])


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


_WATCH = r'''
import importlib, importlib.machinery, io, json, os, sys, threading, traceback

root, module, packages, *packed = sys.argv[1:]
sys.path.insert(0, root)
runtime = os.path.join(root, "handlers", "cdc")
environ = os.environ
report = sys.stdout
sys.stdout = io.StringIO()

CLIENTS = "make AWS clients with handlers.cdc.client(...), and do everything else inside the handler"
IMPORTS = (
    "import it with handlers.cdc.lazy_import(...), or inside the handler; "
    "Lambda has the standard library and boto3 only"
)
READS = "read it inside the handler: at deploy time it is not set"
OWN_FILES = "write it as an import statement: the archive holds the modules that such statements name"
INSIDE = "do it inside the handler"


def frame_of_handler():
    """The innermost frame in a project file that is not the runtime's."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(root) and not file.startswith(runtime):
            return frame
        frame = frame.f_back
    return None


def end(what, fix, file=None, line=None):
    frame = frame_of_handler()
    if frame is not None:
        file, line = frame.f_code.co_filename, frame.f_lineno
    report.write(json.dumps({"file": file or module, "line": line or 1, "what": what, "fix": fix}) + "\n")
    report.flush()
    os._exit(3)


def readable(path):
    if not isinstance(path, (str, bytes)):
        return True
    path = os.fsdecode(path)
    return path.endswith((".py", ".pyc")) or path.startswith((sys.prefix, sys.base_prefix))


def watch(event, arguments):
    if event in ("socket.connect", "socket.__new__", "socket.getaddrinfo", "socket.bind"):
        end("opens a network connection", CLIENTS)
    elif event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.exec"):
        end("starts a process", INSIDE)
    elif event == "open" and frame_of_handler() is not None:
        path, mode, flags = (*arguments, None, None, None)[:3]
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        if writes or not readable(path):
            end("opens the file %r" % (path,), INSIDE)


def looks_up(key=None):
    """The standard library and the runtime may look (locale, warnings); a handler module may not."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename.startswith(("<frozen", os.__file__)):
        frame = frame.f_back
    file = frame.f_code.co_filename
    if file.startswith(root) and not file.startswith(runtime):
        end("reads the environment" + (" variable %s" % key if isinstance(key, str) else ""), READS)


class Environ(type(environ)):
    def __getitem__(self, key):
        looks_up(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        looks_up(key)
        return super().__contains__(key)

    def __iter__(self):
        looks_up()
        return super().__iter__()


class OwnFiles:
    """Finder that is asked first, and refuses modules of the project that the archive does not hold."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        inside = os.path.join(root, *name.split("."))
        ours = os.path.exists(inside + ".py") or os.path.isdir(inside)
        runtime = name == "handlers" or (name + ".").startswith("handlers.cdc.")
        allowed = runtime or any((one + ".").startswith(name + ".") for one in packed)
        if ours and not allowed and frame_of_handler() is not None:
            end("imports %s" % name, OWN_FILES)


class Botocore:
    """Finder of botocore's exceptions, which do no I/O; every other module of it stays unknown here, as boto3 is."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("botocore", "botocore.exceptions") or (name + ".").startswith("botocore.vendored."):
            return importlib.machinery.PathFinder.find_spec(name, path or [packages])
        if name.startswith("botocore."):
            raise ModuleNotFoundError("No module named %r" % name, name=name)


def start(thread):
    end("starts a thread", INSIDE)


os.environ.__class__ = Environ
threading.Thread.start = start
sys.meta_path[:0] = [OwnFiles, Botocore]
sys.addaudithook(watch)
try:
    importlib.import_module(module)
except BaseException as error:
    file = line = None
    for step in traceback.extract_tb(error.__traceback__):
        if step.filename.startswith(root) and not step.filename.startswith(runtime):
            file, line = step.filename, step.lineno
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    if isinstance(error, ModuleNotFoundError):
        what, fix = "imports %s" % error.name, IMPORTS
    else:
        what, fix = "raises %s (%s)" % (type(error).__name__, error), "make the module importable without any setting"
    end(what, fix, file, line)
'''
