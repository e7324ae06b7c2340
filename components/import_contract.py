"""The import contract: a handler module only defines itself when it is imported.

It is imported at deploy time, on a machine without its environment, its permissions or boto3's region. So at import
it does no I/O, reads no environment and needs the standard library and `handlers.cdc` alone. Each module is imported
once in an interpreter of its own that watches for the opposite.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

from components.package import project_root


class ImportContractBroken(ValueError):
    """A handler module does more than define itself at import. One line: where, what, how to fix it."""


@functools.cache
def check_import(module: str) -> None:
    """Import `module`, e.g. `handlers.welcome_email`, in isolation.

    Raises:
        ImportContractBroken: It does I/O, reads the environment, needs a package that is not the standard library's
            or `handlers.cdc`, or raises.
    """
    root = project_root(module)
    watched = subprocess.run(  # noqa: S603 - our own interpreter, isolated: no site-packages, no environment
        [sys.executable, "-I", "-S", "-B", "-c", _WATCH, str(root), module],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if watched.returncode == 0:
        return
    try:
        breach = json.loads(watched.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise ImportContractBroken(f"{module} cannot be imported: {watched.stderr.strip()}") from None
    raise ImportContractBroken(
        f"{_relative(breach['file'], root)}:{breach['line']}: {breach['what']} at import: {breach['fix']}"
    )


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


_WATCH = r'''
import importlib, io, json, os, sys, traceback

root, module = sys.argv[1:]
sys.path.insert(0, root)
runtime = os.path.join(root, "handlers", "cdc")
environ = os.environ
report = sys.stdout
sys.stdout = io.StringIO()

CLIENTS = "make AWS clients with handlers.cdc.client(...), and do everything else inside the handler"
IMPORTS = "import it with handlers.cdc.lazy_import(...), or inside the handler"
READS = "read it inside the handler: at deploy time it is not set"


class Breach(BaseException):
    pass


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
        end("starts a process", "do it inside the handler")
    elif event == "open" and frame_of_handler() is not None:
        path, mode, flags = (*arguments, None, None, None)[:3]
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        if writes or not readable(path):
            end("opens the file %r" % (path,), "do it inside the handler")


class Environ(type(environ)):
    def _check(self, key=None):
        # The standard library may look (locale, warnings); a handler module may not.
        if sys._getframe(2).f_code.co_filename.startswith(root) and frame_of_handler() is not None:
            caller = sys._getframe(2).f_code.co_filename
            if not caller.startswith(runtime):
                end("reads the environment" + (" variable %s" % key if isinstance(key, str) else ""), READS)

    def __getitem__(self, key):
        self._check(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self._check(key)
        return super().get(key, default)

    def __contains__(self, key):
        self._check(key)
        return super().__contains__(key)

    def __iter__(self):
        self._check()
        return super().__iter__()


os.environ.__class__ = Environ


def getenv(key, default=None):
    if not sys._getframe(1).f_code.co_filename.startswith(runtime):
        end("reads the environment variable %s" % key, READS)
    return default


os.getenv = getenv
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
