"""Runs a program, a policy pack or a plugin in its own interpreter. Ends when the language host is gone.

It is started by its path and imports nothing of the house: the interpreter is the user's.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

#: Exit status of a program whose error was shown already.
REPORTED = 32

#: Directories of the program that its author did not write.
PROVIDED = (Path("components"), Path("handlers/cdc"))


def end_with(parent: int) -> None:
    """End this process when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def run_program(settings: dict[str, Any]) -> int:
    """Run a Pulumi program; its exit status."""
    import asyncio
    import logging
    import traceback
    from concurrent.futures import ThreadPoolExecutor

    try:
        import pulumi
        import pulumi.runtime
    except ImportError as missing:
        sys.stderr.write(f"{missing}: the Pulumi SDK is not installed in {sys.prefix}: run `pulumi install`\n")
        return 1
    # The SDK makes some forty cyclic objects a resource: this halves its time.
    gc.set_threshold(100_000, 50, 50)
    runtime, path = pulumi.runtime, Path(os.path.normpath(settings["program"]))
    runtime.set_all_config(runtime.get_config_env(), runtime.get_config_secret_keys_env())
    names = ("monitor", "engine", "project", "stack", "organization", "dry_run", "parallel", "root_directory")
    runtime.configure(runtime.Settings(**{name: settings[name] for name in names}))
    sys.argv = [str(path), *settings["args"]]
    here = path if path.is_dir() else path.parent
    if here == path and not (path / "__main__.py").exists():
        pulumi.log.error(f"no __main__.py in {path}")
        return REPORTED
    if here != path:
        sys.path.insert(0, str(here))  # run_path does so for a directory only
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pool = ThreadPoolExecutor(max(settings["parallel"], 1) * 4)
    loop.set_default_executor(pool)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        loop.run_until_complete(runtime.run_in_stack(lambda: runpy.run_path(str(path), run_name="__main__")))
    except pulumi.RunError as refused:
        pulumi.log.error(str(refused))
    except (ImportError, NameError, SyntaxError) as mistake:
        # Such an error says all there is to say, and a traceback would only hide its line.
        pulumi.log.error(f"{where(mistake, here)}{type(mistake).__name__}: {said(mistake)}")
    except Exception as failed:  # noqa: BLE001 - the program is anybody's code, and this is where it ends
        shown = failed.__traceback__
        while shown and not Path(shown.tb_frame.f_code.co_filename).is_relative_to(here):
            shown = shown.tb_next
        lines = traceback.format_exception(type(failed), failed, shown or failed.__traceback__)
        pulumi.log.error(f"{where(failed, here)}the program raised an exception:\n{''.join(lines)}")
    else:
        return 0
    finally:
        pool.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return REPORTED


def where(error: BaseException, root: Path) -> str:
    """Locate the innermost line of the author's own code that an error came through, as `file:line: `."""
    frames: list[tuple[str, int | None]] = []
    step: TracebackType | None = error.__traceback__
    while step:
        frames.append((step.tb_frame.f_code.co_filename, step.tb_lineno))
        step = step.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    inside = [
        (Path(file).relative_to(root), line)
        for file, line in reversed(frames)
        if Path(file).is_relative_to(root) and "site-packages" not in Path(file).parts
    ]
    own = [(file, line) for file, line in inside if not any(map(file.is_relative_to, PROVIDED))]
    for file, line in own or inside:
        return f"{file.as_posix()}:{line}: "
    return ""


def said(error: BaseException) -> str:
    """The error's message; of a missing package also the remedy."""
    if isinstance(error, SyntaxError):
        return f"{error.msg}: {error.text.strip()}" if error.text else str(error.msg)
    if isinstance(error, ModuleNotFoundError):
        return f"{error}: add the package to requirements.txt and run `pulumi install`"
    return str(error)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    sys.path.pop(0)  # this file's directory must not shadow the user's modules
    mode, target, *rest = sys.argv[1:]
    if mode == "program":
        sys.exit(run_program(json.loads(target)))
    if mode == "policy":  # as `python -m pulumi.policy <engine> <directory>`
        sys.argv = ["pulumi.policy", *rest, target]
        runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)
    if mode == "plugin":
        sys.argv = [target, *rest]
        runpy.run_path(target, run_name="__main__")
