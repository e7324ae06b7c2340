"""`LanguageRuntime`: the gRPC service by which the engine runs Python programs, policy packs and plugins."""

from __future__ import annotations

import json
import os
import queue
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from local.pulumi_host.children import REPORTED, RUNNER, Children, Output, pump
from local.pulumi_host.interpreters import HostError, ask, python_of, toolchain_of, within
from local.pulumi_host.policy_proxy import PolicyProxy

#: Prints the packages that bring a provider.
_PLUGINS = """
import glob, json, os, sys
found = {}
for directory in sys.path:
    for file in glob.glob(os.path.join(glob.escape(directory or "."), "*", "pulumi-plugin.json")):
        with open(file) as opened:
            plugin = json.load(opened)
        if plugin.get("resource") and plugin.get("name"):
            found.setdefault(plugin["name"], plugin)
print(json.dumps(list(found.values())))
"""

#: Prints the distributions, without those that another one needs unless `everything` is true.
_DISTRIBUTIONS = """
import importlib.metadata, json, re
normal = lambda name: re.sub("[-_.]+", "-", name).lower()
found = {distribution.name: distribution for distribution in importlib.metadata.distributions()}
needed = {
    normal(re.match("[A-Za-z0-9._-]+", each)[0])
    for distribution in found.values() for each in distribution.requires or [] if "extra" not in each
}
print(json.dumps(sorted([n, d.version] for n, d in found.items() if EVERYTHING or normal(n) not in needed)))
"""


class LanguageRuntime(language_pb2_grpc.LanguageRuntimeServicer):
    """The service. Its methods have the names and types of Pulumi's protocol.

    Args:
        engine: Address of the engine.
        children: Starts and ends processes.
        version: Version of the host: the engine's.
    """

    def __init__(self, engine: str, children: Children, version: str) -> None:
        self._engine = engine
        self._children = children
        self._version = version

    def Handshake(self, request: Any, context: Any) -> language_pb2.LanguageHandshakeResponse:
        self._engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._version)

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        self._children.terminate_all()
        return empty_pb2.Empty()

    def About(self, request: Any, context: Any) -> language_pb2.AboutResponse:
        python = _python(context, request.info)
        version = _ask(context, python, "import json, sys; print(json.dumps(sys.version.split()[0]))")
        return language_pb2.AboutResponse(executable=str(python), version=version)

    def GetRequiredPackages(self, request: Any, context: Any) -> language_pb2.GetRequiredPackagesResponse:
        packages = [
            plugin_pb2.PackageDependency(
                name=each["name"], kind="resource", version=each.get("version", ""), server=each.get("server", "")
            )
            for each in _ask(context, _python(context, request.info), _PLUGINS)
        ]
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def GetProgramDependencies(self, request: Any, context: Any) -> language_pb2.GetProgramDependenciesResponse:
        script = _DISTRIBUTIONS.replace("EVERYTHING", str(request.transitiveDependencies))
        found = _ask(context, _python(context, request.info), script)
        dependencies = [language_pb2.DependencyInfo(name=name, version=version) for name, version in found]
        return language_pb2.GetProgramDependenciesResponse(dependencies=dependencies)

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[language_pb2.InstallDependenciesResponse]:
        for command in _installation(request.info):
            yield language_pb2.InstallDependenciesResponse(stdout=f"$ {shlex.join(command)}\n".encode())
            child = self._children.start(command, directory=request.info.root_directory, piped=True)
            for name, text in _written(child):
                yield language_pb2.InstallDependenciesResponse(**{name: text})
            if child.wait():
                context.abort(grpc.StatusCode.INTERNAL, f"{shlex.join(command)}: exit status {child.returncode}")
            self._children.stop(child)

    def Run(self, request: Any, context: Any) -> language_pb2.RunResponse:
        info = request.info
        try:
            python = python_of(info)
        except HostError as failed:
            return language_pb2.RunResponse(error=str(failed))
        settings = {
            "program": str(Path(info.program_directory) / (info.entry_point or ".")),
            "args": list(request.args),
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "dry_run": request.dryRun,
            "parallel": request.parallel,
            "root_directory": info.root_directory,
        }
        environment = within(python, os.environ) | _configuration(request.config, request.configSecretKeys)
        # Its output goes to the host's, which the engine shows.
        child = self._children.start(
            [python, "-u", RUNNER, "program", json.dumps(settings)], directory=request.pwd, environment=environment
        )
        context.add_callback(lambda: self._children.stop(child))
        status = child.wait()
        self._children.stop(child)
        if status == REPORTED:
            return language_pb2.RunResponse(bail=True)
        if status < 0:
            return language_pb2.RunResponse(error=f"the Python program was ended by {signal.Signals(-status).name}")
        return language_pb2.RunResponse(error=f"the Python program exited with code {status}" if status else "")

    def RunPlugin(self, request: Any, context: Any) -> Iterator[language_pb2.RunPluginResponse]:
        given = dict(each.split("=", 1) for each in request.env)
        python = _python(context, request.info, given)
        plugin = _Plugin(
            self._children,
            [python, "-u", RUNNER],
            Path(request.info.program_directory) / (request.info.entry_point or "."),
            within(python, given or os.environ),
            list(request.args),
        )
        context.add_callback(plugin.stop)
        if request.kind == "analyzer":
            yield language_pb2.RunPluginResponse(stdout=f"{plugin.serve_policies()}\n".encode())
        else:
            plugin.start("plugin", request.pwd)
        for name, text in plugin.written():
            yield language_pb2.RunPluginResponse(stdout=text) if name == "stdout" else _error_output(text)
        yield language_pb2.RunPluginResponse(exitcode=plugin.status())


class _Plugin:
    """The process of one policy pack or plugin."""

    def __init__(
        self,
        children: Children,
        runner: list[str | Path],
        target: Path,
        environment: Mapping[str, str],
        arguments: list[str],
    ) -> None:
        self._children = children
        self._runner = runner
        self._target = str(target)
        self._environment = environment
        self._arguments = arguments
        self._output: queue.Queue[Output] = queue.Queue()
        self._ended = threading.Event()
        self._child: Any = None
        self._proxy: PolicyProxy | None = None

    def start(self, mode: str, directory: str, more: Mapping[str, str] | None = None) -> None:
        self._launch(mode, directory, more or {})
        pump(self._child.stderr, "stderr", self._output)
        pump(self._child.stdout, "stdout", self._output)

    def serve_policies(self) -> int:
        """Serve a pack to the engine; its port."""
        self._proxy = PolicyProxy(self._start_pack)
        return self._proxy.port

    def stop(self) -> None:
        self._ended.set()
        if self._child is not None:
            self._children.stop(self._child)
        if self._proxy is not None:
            self._proxy.stop()
        self._output.put(("end", b""))

    def written(self) -> Iterator[Output]:
        """Yield the output of the process, until both pipes are closed or it was stopped."""
        open_pipes = 2
        while open_pipes:
            name, text = self._output.get()
            if name == "end":
                return
            if text:
                yield name, text
            else:
                open_pipes -= 1

    def status(self) -> int:
        return 0 if self._child is None else self._child.wait()

    def _launch(self, mode: str, directory: str | None, more: Mapping[str, str]) -> None:
        command = [*self._runner, mode, self._target, *self._arguments]
        self._child = self._children.start(
            command, directory=directory, environment={**self._environment, **more}, piped=True
        )
        if self._ended.is_set():
            self._children.stop(self._child)

    def _start_pack(self, settings: Any) -> int:
        more: dict[str, str] = {}
        if settings is not None:
            more = _configuration(settings.config, settings.config_secret_keys) | {
                "PULUMI_PROJECT": settings.project,
                "PULUMI_STACK": settings.stack,
                "PULUMI_ORGANIZATION": settings.organization,
                "PULUMI_DRY_RUN": str(settings.dry_run).lower(),
            }
        self._launch("policy", self._target, more)
        pump(self._child.stderr, "stderr", self._output)
        # A pack may print before it serves: those lines are shown, and the first number is its port.
        for line in iter(self._child.stdout.readline, b""):
            if line.strip().isdigit():
                pump(self._child.stdout, "stdout", self._output)
                return int(line)
            self._output.put(("stdout", line))
        pump(self._child.stdout, "stdout", self._output)
        raise HostError(
            f"the policy pack {self._target} ended with status {self._child.wait()} before it served: "
            "its errors are shown above"
        )


def _error_output(text: bytes) -> language_pb2.RunPluginResponse:
    return language_pb2.RunPluginResponse(stderr=text)


def _installation(info: Any) -> list[list[str]]:
    """The commands that install a program's packages."""
    toolchain, directory = toolchain_of(info)
    if toolchain == "uv":
        return [["uv", "sync"]]
    python = "python3" if directory is None else str(directory / "bin" / "python")
    commands: list[list[str]] = []
    if directory is not None and not Path(python).exists():
        commands.append([os.environ.get("PULUMI_PYTHON_CMD", "python3"), "-m", "venv", str(directory)])
    if (requirements := Path(info.root_directory) / "requirements.txt").exists():
        commands.append([python, "-m", "pip", "install", "-r", str(requirements)])
    return commands


def _written(child: Any) -> Iterator[Output]:
    output: queue.Queue[Output] = queue.Queue()
    pump(child.stdout, "stdout", output)
    pump(child.stderr, "stderr", output)
    open_pipes = 2
    while open_pipes:
        name, text = output.get()
        if text:
            yield name, text
        else:
            open_pipes -= 1


def _configuration(config: Mapping[str, str], secret_keys: Any) -> dict[str, str]:
    return {
        "PULUMI_CONFIG": json.dumps(dict(config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(secret_keys)),
    }


def _python(context: Any, info: Any, environment: Mapping[str, str] | None = None) -> Path:
    try:
        return python_of(info, environment)
    except HostError as failed:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(failed))
        raise


def _ask(context: Any, python: Path, script: str) -> Any:
    try:
        return ask(python, script)
    except HostError as failed:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(failed))
        raise
