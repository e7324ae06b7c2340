"""Runs a whole Pulumi program in this process: no CLI, no engine, no provider plugin.

The program goes through the entry point that the CLI's language host uses (`run_in_stack`). A `Provider`
receives its registrations in the order of their dependencies, and they are recorded as the engine would see them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import importlib
import logging
import runpy
import sys
import threading
from collections.abc import Callable, Collection, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pulumi
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import rpc, settings
from pulumi.runtime.proto import engine_pb2, resource_pb2

from local.deploy.pending import PendingOutputs
from local.deploy.stubs import STACK_REFERENCE_TYPE, Stubs

STACK_TYPE = "pulumi:pulumi:Stack"

logger = logging.getLogger(__name__)


class NotSupported(RuntimeError):
    """A feature of Pulumi that needs the real engine. The message names it."""


class DuplicateName(RuntimeError):
    """Two resources with one URN: their type, their name and their parents' types are equal."""


class Created(NamedTuple):
    """A created resource: its id, and its outputs in wire names without the inputs."""

    id: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Registration:
    """One resource as a program registers it, in Pulumi's wire names.

    Attributes:
        urn: The resource's URN as the engine makes it, with the types of all parents.
        type: Type token, e.g. `aws:dynamodb/table:Table`.
        name: The name in the program.
        custom: `True` if a provider creates it, `False` for a component.
        parent: URN of the parent.
        inputs: Plain values. Whole numbers are `int`, archives are `pulumi.Archive`, and values unknown in a preview
            are `pulumi.output.Unknown`.
        dependencies: URNs of the resources that must exist before it, sorted.
        property_dependencies: URNs of the resources that each input's value comes from, sorted.
        protect: The option `protect`, inherited from the parents; `None` if no one sets it.
        delete_before_replace: The option `delete_before_replace`.
        ignore_changes: The option `ignore_changes`.
        replace_on_changes: The option `replace_on_changes`.
        retain_on_delete: The option `retain_on_delete`.
        aliases: Former URNs.
    """

    urn: str
    type: str
    name: str
    custom: bool
    parent: str
    inputs: Mapping[str, Any]
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    protect: bool | None = None
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    retain_on_delete: bool = False
    aliases: tuple[str, ...] = ()


class Provider(Protocol):
    """Creates resources and answers functions. Called from several threads at once."""

    def create(self, registration: Registration) -> Created:
        """Create a resource. Never called in a preview, nor for a component."""
        ...

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a provider function, e.g. `aws:index/getCallerIdentity:getCallerIdentity`."""
        ...

    def read(self, token: str, name: str) -> Mapping[str, Any] | None:
        """Answer with the outputs of a resource that the program reads with `.get()`; `None` if it cannot."""
        ...


@dataclass(frozen=True)
class ProgramRun:
    """The result of running a program.

    Attributes:
        registrations: All resources except the stack itself, in the order of their creation.
        created: Ids and outputs of the resources that a provider created, by URN.
        outputs: The stack's outputs.
        component_outputs: The outputs that each component registered, by URN.
    """

    registrations: list[Registration]
    created: dict[str, Created]
    outputs: dict[str, Any]
    component_outputs: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Configured:
    """Values of a stack's configuration, and the keys of its secrets."""

    values: Mapping[str, str]
    secret_keys: Collection[str]


def run_program(
    program: Path | Callable[[], object],
    provider: Provider,
    *,
    project: str,
    stack: str,
    config: Mapping[str, str] | None = None,
    secret_keys: Collection[str] = (),
    preview: bool = False,
    parallel: int = 8,
) -> ProgramRun:
    """Run a program to its end.

    Pulumi keeps its state in context variables and one event loop, so each run has a thread and a context of its own.
    A program in a directory also gets modules of its own: the directory's modules are imported afresh, and modules
    imported under their names before are restored afterwards. Such runs wait for each other.

    Args:
        program: The directory of a `__main__.py`, or a function.
        provider: Creates the resources.
        project: Name of the project.
        stack: Name of the stack.
        config: Configuration as the CLI passes it: full keys (`weir:mailFrom`) and texts.
        secret_keys: Keys of those values that are secrets.
        preview: If `True`, nothing is created, and values that only a creation yields are unknown.
        parallel: Number of resources created at a time.

    Raises:
        NotSupported: The program needs the real engine.
        DuplicateName: Two resources have one URN.
        Exception: The first error of the program or the provider, unchanged.
    """
    monitor = _Monitor(provider, project, stack, preview=preview)
    with ThreadPoolExecutor(1, thread_name_prefix="pulumi-program") as thread:
        try:
            configured = Configured(config or {}, secret_keys)
            thread.submit(
                contextvars.Context().run, _run, program, monitor, configured, project, stack, preview, parallel
            ).result()
        except Exception as error:
            first = monitor.failure or _first_of(error)
            if first is error:
                raise
            # The SDK may raise a later error, or the first one wrapped once for every resource that waited for it.
            raise first from None
    return ProgramRun(monitor.registrations, monitor.created, monitor.stack_outputs, monitor.component_outputs)


def _first_of(error: Exception) -> Exception:
    """Return the refusal that has led to an error, where an output computed it; the error itself if there is none."""
    each: BaseException | None = error
    while each is not None and not isinstance(each, pulumi.RunError):
        each = each.__cause__
    return error if each is None else each


def _run(
    program: Path | Callable[[], object],
    monitor: _Monitor,
    configured: Configured,
    project: str,
    stack: str,
    preview: bool,
    parallel: int,
) -> None:
    pulumi_config.set_all_config(dict(configured.values), list(configured.secret_keys))
    settings.configure(
        settings.Settings(
            project=project,
            stack=stack,
            organization="organization",
            dry_run=preview,
            parallel=parallel,
            monitor=monitor,
            engine=_Engine(),
            root_directory=str(program) if isinstance(program, Path) else None,
        )
    )
    current: Any = settings.SETTINGS  # its attributes are properties that the SDK makes up
    current.outputs = PendingOutputs()
    current.callbacks = _Callbacks()
    with asyncio.Runner() as runner, contextlib.ExitStack() as cleanup:
        loop = runner.get_loop()
        loop.set_default_executor(ThreadPoolExecutor(parallel, thread_name_prefix="pulumi-create"))
        # When one resource fails, its dependents fail with the same error; the caller raises the first one.
        loop.set_exception_handler(lambda _loop, _context: None)
        if isinstance(program, Path):
            main = program.resolve() / "__main__.py"
            cleanup.enter_context(_modules_of(main.parent))

            function = functools.partial(runpy.run_path, str(main), run_name="__main__")
        else:
            function = program

        def call() -> None:
            with monitor.remembering_failures():
                function()

        runner.run(pulumi.runtime.run_in_stack(call))


_MODULES = threading.Lock()


@contextlib.contextmanager
def _modules_of(directory: Path) -> Generator[None]:
    """Import the directory's modules afresh within the block."""
    names = {path.stem for path in directory.glob("*.py")} | {
        path.parent.name for path in directory.glob("*/__init__.py")
    }
    # A program never imports this package, and other threads may be using it.
    names -= {"__main__", __name__.partition(".")[0]}

    def loaded() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] in names]

    with _MODULES:
        before = {name: sys.modules.pop(name) for name in loaded()}
        sys.path.insert(0, str(directory))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(str(directory))
            for name in loaded():
                del sys.modules[name]
            sys.modules.update(before)


class _Monitor:
    """Resource monitor that stands in for the engine's."""

    def __init__(self, provider: Provider, project: str, stack: str, *, preview: bool) -> None:
        self.registrations: list[Registration] = []
        self.created: dict[str, Created] = {}
        self.component_outputs: dict[str, dict[str, Any]] = {}
        self.stack_outputs: dict[str, Any] = {}
        self.failure: Exception | None = None
        self._provider = provider
        self._project, self._stack = project, stack
        self._stack_urn = f"urn:pulumi:{stack}::{project}::{STACK_TYPE}::{project}-{stack}"
        self._preview = preview
        self._urns: set[str] = set()
        self._lock = threading.Lock()

    # Pulumi's own names of the calls; `Any` where its requests are untyped.

    def GetDeploymentInfo(self, _request: Any) -> resource_pb2.DeploymentInfo:  # noqa: N802
        # Without SECRETS, RESOURCE_REFERENCES and OUTPUT_VALUES the SDK sends plain values. Transforms and hooks are
        # announced so that the SDK sends them here, where they are refused by name.
        return resource_pb2.DeploymentInfo(
            supportedFeatures=[
                resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
                resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
                resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
                resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
                resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
                resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
                resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
            ]
        )

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802
        if request.type == STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=self._stack_urn)
        with self.remembering_failures():
            return self._register(request)

    def _register(self, request: Any) -> resource_pb2.RegisterResourceResponse:
        registration = self._registration(request)
        with self._lock:
            if registration.urn in self._urns:
                raise DuplicateName(f"two resources have the URN {registration.urn}: give one of them another name")
            self._urns.add(registration.urn)
        created = Created("", {})
        if registration.custom and not self._preview:
            created = self._provider.create(registration)
        with self._lock:
            self.registrations.append(registration)
            if registration.custom and not self._preview:
                self.created[registration.urn] = created
        # In a preview, a property missing in the answer is unknown, even an input; otherwise inputs stand.
        known = request.object if self._preview else _struct(created.outputs)
        return resource_pb2.RegisterResourceResponse(urn=registration.urn, id=created.id, object=known)

    def RegisterResourceOutputs(self, request: Any) -> empty_pb2.Empty:  # noqa: N802
        outputs = plain(rpc.deserialize_properties(request.outputs, keep_unknowns=True))
        with self._lock:
            if request.urn == self._stack_urn:
                self.stack_outputs.update(outputs)
            else:
                self.component_outputs[request.urn] = outputs
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> resource_pb2.ResourceInvokeResponse:  # noqa: N802
        arguments = plain(rpc.deserialize_properties(request.args, keep_unknowns=True))
        with self.remembering_failures():
            answer = self._provider.invoke(request.tok, arguments)
        fields: dict[str, Any] = {"return": _struct(answer)}  # a keyword of Python's cannot be written as one
        return resource_pb2.ResourceInvokeResponse(**fields)

    def SignalAndWaitForShutdown(self, _request: Any) -> empty_pb2.Empty:  # noqa: N802
        return empty_pb2.Empty()

    def ReadResource(self, request: Any) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        found = self._provider.read(request.type, request.name)
        if found is None:
            raise NotSupported(
                f"{request.name} ({request.type}) is read with .get(), and there is nothing to read yet: "
                f"{Stubs(namespace=self._project).hint(request.type, request.name)}"
            )
        if request.type == STACK_REFERENCE_TYPE:
            found = {"name": request.name, "outputs": found, "secretOutputNames": []}
        urn = self._urn(request.parent, request.type, request.name)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=_struct(found))

    def Call(self, request: Any) -> Any:  # noqa: N802
        raise NotSupported(f"{request.tok} is a method of a resource, and only a provider plugin has methods")

    @contextlib.contextmanager
    def remembering_failures(self) -> Generator[None]:
        """Keep the first error, of the program or of a resource: it is the one to report."""
        try:
            yield
        except Exception as error:
            with self._lock:
                self.failure = self.failure or error
            raise

    def _registration(self, request: Any) -> Registration:
        for what, used in {"import_": request.importId, "provider": request.provider, "remote": request.remote}.items():
            if used:
                raise NotSupported(
                    f"{request.name} ({request.type}) has the option {what}={used!r}, which needs the real engine: "
                    "the deployment creates everything with one provider"
                )
        if creating := [*request.hooks.before_create, *request.hooks.after_create]:
            raise NotSupported(_HOOK.format(creating[0]))
        return Registration(
            urn=self._urn(request.parent, request.type, request.name),
            type=request.type,
            name=request.name,
            custom=request.custom,
            parent=request.parent,
            inputs=plain(rpc.deserialize_properties(request.object, keep_unknowns=True)),
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={
                name: tuple(sorted(dependencies.urns)) for name, dependencies in request.propertyDependencies.items()
            },
            protect=request.protect if request.HasField("protect") else None,
            delete_before_replace=request.deleteBeforeReplace,
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            retain_on_delete=request.retainOnDelete,
            aliases=tuple(request.aliasURNs),
        )

    def _urn(self, parent: str, type_: str, name: str) -> str:
        types = parent.split("::")[2] if parent else STACK_TYPE
        chain = type_ if types == STACK_TYPE else f"{types}${type_}"
        return f"urn:pulumi:{self._stack}::{self._project}::{chain}::{name}"


_HOOK = "the hook {0} would not run: only the real engine runs hooks"
_TRANSFORMS = (
    "the program has transforms, which only the real engine runs, so they would be ignored: use transformations, which "
    "Pulumi runs in the program itself, or give deploy() a change_inputs"
)


class _Callbacks:
    """Callbacks of the program, in place of the server by which the engine would call them."""

    def register_resource_hook(self, _hook: pulumi.ResourceHook) -> None:
        """Take a hook: nothing is updated or deleted here. Hooks of a creation are refused with their resource."""

    def register_error_hook(self, hook: Any) -> None:
        raise NotSupported(_HOOK.format(hook.name))

    def register_transform(self, _transform: Any) -> None:
        raise NotSupported(_TRANSFORMS)

    register_stack_transform = register_invoke_transform = register_transform


class _Engine:
    """Engine that writes the program's own messages (`pulumi.warn` and others) to the log."""

    _LEVELS: Mapping[int, int] = {
        engine_pb2.DEBUG: logging.DEBUG,
        engine_pb2.INFO: logging.INFO,
        engine_pb2.WARNING: logging.WARNING,
        engine_pb2.ERROR: logging.ERROR,
    }

    def Log(self, request: Any) -> empty_pb2.Empty:  # noqa: N802
        logger.log(self._LEVELS[request.severity], "%s", request.message)
        return empty_pb2.Empty()


def plain(value: Any) -> Any:
    """Convert wire values to Python's: every number on the wire is a float, and whole ones become `int`."""
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [plain(member) for member in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct
