"""The provider `aws` of the real engine: the declarations of `local.deploy.resources`, served over gRPC.

It is attached by the engine's debug variable, so that no plugin is installed anywhere, and it calls no endpoint but one
on this machine.
"""

from __future__ import annotations

import random
import urllib.parse
from collections.abc import Callable, Generator, Mapping
from concurrent import futures
from contextlib import contextmanager
from importlib import metadata
from typing import Any, NoReturn

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from local.deploy import checks, functions
from local.deploy.resources import RESOURCES, Aws, NotUsed, ResourceType
from local.deploy.resources.members import aws_names, equal, read_all, read_back, to_document
from local.deploy.resources.resource_type import Change, Gone, is_gone
from local.deploy.stubs import Stubs, made_up
from local.deploy.wire import DEFAULTS, UNKNOWN, differences, has_unknown, is_archive, struct, values, wire
from local.endpoint.clients import Connection

#: Sizes of messages: an archive's files travel in them.
_LARGE = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]

#: Errors of a call to the endpoint, and of waiting for what it does.
_FAILURES = (BotoCoreError, ClientError, Gone, NotUsed, OSError, TimeoutError, ValueError)


class NotLocal(ValueError):
    """An endpoint that is not on this machine."""


@contextmanager
def served(connection: Connection, stubs: Callable[[], Stubs] = Stubs) -> Generator[str]:
    """Serve the provider while the block runs.

    Args:
        connection: The endpoint.
        stubs: Called once per run of the engine; returns the stack's stubs.

    Yields:
        The value of the engine's variable PULUMI_DEBUG_PROVIDERS.

    Raises:
        NotLocal: The endpoint is not on this machine.
    """
    if urllib.parse.urlparse(connection.url).hostname not in ("127.0.0.1", "::1", "localhost"):
        raise NotLocal(
            f"{connection.url} is not on this machine, and this provider deploys nowhere else: "
            "use the CLI with the real provider for an AWS account"
        )
    server = grpc.server(futures.ThreadPoolExecutor(32, thread_name_prefix="provider"), options=_LARGE)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(EngineProvider(connection, stubs), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield ",".join(f"{package}:{port}" for package in sorted({"aws", *stubs().packages}))
    finally:
        server.stop(grace=None).wait()


class EngineProvider(provider_pb2_grpc.ResourceProviderServicer):
    """The servicer. Its methods have the names and types of Pulumi's protocol.

    Args:
        connection: The endpoint.
        stubs: Called once per run of the engine; returns the stack's stubs.
    """

    def __init__(self, connection: Connection, stubs: Callable[[], Stubs] = Stubs) -> None:
        self._aws = Aws(connection)
        self._read_stubs = stubs
        self._stubs = stubs()

    def Handshake(self, request: Any, context: Any) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi_aws"))

    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> provider_pb2.ConfigureResponse:
        region = wire(request.args).get("region")
        if region and region != self._aws.region:
            _fail(
                context,
                f"aws:region is {region}, and the endpoint plays {self._aws.region}: start it for the stack's region",
            )
        try:
            self._stubs = self._read_stubs()
        except ValueError as wrong:
            _fail(context, str(wrong))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        token, inputs = _token(request), wire(request.news)
        if self._stubs.resource(token, _name(request)) is not None:
            return provider_pb2.CheckResponse(inputs=request.news)
        problems = checks.problems(token, values(request.news))
        if token not in RESOURCES:
            problems = [f"{problem}; {self._stubs.hint(token, _name(request))}" for problem in problems]
        elif not problems and (problem := _complete_name(RESOURCES[token], inputs, request)):
            problems = [problem]
        return provider_pb2.CheckResponse(
            inputs=struct(inputs), failures=[provider_pb2.CheckFailure(reason=problem) for problem in problems]
        )

    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        declared = RESOURCES.get(_token(request))
        old, new = wire(request.old_inputs), wire(request.news)
        found = _changes(declared, old, new)
        if declared is None:
            replaces, fixed = set[str](), False
        else:
            replaces = {path for path in found if any(_touches(path, each) for each in declared.replaces)}
            fixed = declared.name is not None and declared.name.property not in new.get(DEFAULTS, [])
        detail = {
            path: provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.Kind.Value(f"{kind}_REPLACE" if path in replaces else kind),
                inputDiff=True,
            )
            for path, kind in found.items()
        }
        some = provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some,
            diffs=sorted({_top(path) for path in found}),
            replaces=sorted(replaces),
            # Two resources cannot have one name, and a name that was given is the new one's as well.
            deleteBeforeReplace=bool(replaces) and fixed,
            detailedDiff=detail,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        token, inputs = _token(request), wire(request.properties)
        given = self._stubs.resource(token, _name(request))
        if given is not None:
            id_, outputs = self._made_up(token, request, given)
            return provider_pb2.CreateResponse(id=id_, properties=struct({**inputs, **outputs}))
        declared = RESOURCES[token]
        if request.preview:
            unknown = {output: UNKNOWN for output in declared.outputs if output not in inputs}
            return provider_pb2.CreateResponse(properties=struct({**inputs, **unknown}))
        document = _document(declared, request.properties)
        with _failing(context, f"creating {_name(request)}"):
            id_ = declared.begin(self._aws, document)
        outputs = self._completed(context, f"creating {_name(request)}", declared, id_, document, inputs)
        return provider_pb2.CreateResponse(id=id_, properties=struct({**inputs, **outputs}))

    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        token, inputs = _token(request), wire(request.inputs)
        if self._stubs.resource(token, _name(request)) is not None:
            return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        declared = RESOURCES.get(token)
        if declared is None:
            _fail(context, f"{token} cannot be read on this machine; {self._stubs.hint(token, _name(request))}")
        try:
            found = declared.read(self._aws, request.id, _document(declared, request.inputs))
        except KeyError as parent:
            _fail(context, f"{request.id} ({token}) cannot be read by its id alone, without {parent}")
        except _FAILURES as error:
            if not is_gone(error):
                _fail(context, f"reading {request.id}: {_said(error)}")
            return provider_pb2.ReadResponse()
        if inputs:
            archives = {name: value for name, value in inputs.items() if is_archive(value) or name.startswith("__")}
            actual = {**read_back(declared.members, found.document, values(request.inputs)), **archives}
        else:
            actual = read_all(declared.members, found.document)
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=struct({**wire(request.properties), **actual, **found.outputs}),
            inputs=struct(actual),
        )

    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        token, state, inputs = _token(request), wire(request.olds), wire(request.news)
        given = self._stubs.resource(token, _name(request))
        if given is not None:
            outputs = {**state, **{key: value for key, value in given.items() if key != "id"}}
            return provider_pb2.UpdateResponse(properties=struct({**outputs, **inputs}))
        declared = RESOURCES[token]
        changed = {_top(path) for path in _changes(declared, wire(request.old_inputs), inputs)}
        names = aws_names(declared.members, changed)
        left = names if declared.update is None else names - (names if declared.updates is None else declared.updates)
        if left:
            _fail(
                context,
                f"{', '.join(sorted(left))} of {request.id} ({token}) cannot be changed in place on this machine: "
                "replace the resource here (pulumi up --target-replace), or change it on an AWS account",
            )
        if request.preview:
            renewed = {output for name in changed for output in declared.renews.get(name, ())}
            known = {name: UNKNOWN if name in renewed else state.get(name, UNKNOWN) for name in declared.outputs}
            return provider_pb2.UpdateResponse(properties=struct({**known, **inputs}))
        document = _document(declared, request.news)
        change = Change(_document(declared, request.old_inputs), document, names)
        with _failing(context, f"updating {request.id}"):
            if declared.update is not None and names:
                declared.update(self._aws, request.id, change)
        outputs = self._completed(context, f"updating {request.id}", declared, request.id, document, inputs)
        return provider_pb2.UpdateResponse(properties=struct({**inputs, **outputs}))

    def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:
        token = _token(request)
        if self._stubs.resource(token, _name(request)) is not None:
            return empty_pb2.Empty()
        declared = RESOURCES.get(token)
        if declared is None:
            _fail(context, f"{token} cannot be deleted on this machine; {self._stubs.hint(token, _name(request))}")
        inputs = request.old_inputs if wire(request.old_inputs) else request.properties
        try:
            declared.delete(self._aws, request.id, _document(declared, inputs))
        except _FAILURES as error:
            if not is_gone(error):
                _fail(context, f"deleting {request.id}: {_said(error)}")
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> provider_pb2.InvokeResponse:
        with _failing(context, request.tok):
            answer = functions.invoke(request.tok, values(request.args), self._aws, self._stubs)
        fields: dict[str, Any] = {"return": struct(answer)}  # a keyword of Python's cannot be written as one
        return provider_pb2.InvokeResponse(**fields)

    def _completed(
        self, context: Any, doing: str, declared: ResourceType, id_: str, document: dict[str, Any], inputs: Any
    ) -> Mapping[str, Any]:
        """Settle and read a resource that exists; a failure keeps its id in the state, for the next `up` to repair."""
        try:
            declared.settle(self._aws, id_, document)
            return declared.read(self._aws, id_, document).outputs
        except _FAILURES as error:
            failed = provider_pb2.ErrorResourceInitFailed(
                id=id_, properties=struct(inputs), inputs=struct(inputs), reasons=[f"{doing}: {_said(error)}"]
            )
            _abort_with(context, f"{doing}: {_said(error)}", failed)

    def _made_up(self, token: str, request: Any, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        name, module = _name(request), token.split(":")[1].partition("/")[0]
        digits = f"{random.Random(request.urn).getrandbits(28):07x}"  # noqa: S311 - a name, and the same in each preview
        return made_up(name, digits, self._aws.arn(module, name), given)


def _token(request: Any) -> str:
    return request.type or request.urn.split("::")[2].rpartition("$")[2]


def _name(request: Any) -> str:
    return request.name or request.urn.split("::", 3)[3]


def _document(declared: ResourceType, inputs: Any) -> dict[str, Any]:
    """The members among a resource's inputs, or among its outputs where no inputs are known."""
    known = {name: value for name, value in values(inputs).items() if name in declared.members}
    return to_document(declared.members, known)


def _complete_name(declared: ResourceType, inputs: dict[str, Any], request: Any) -> str | None:
    """Generate the physical name if none was given, and explain what is wrong with it."""
    name = declared.name
    if name is None:
        return None
    if name.property not in inputs:
        options = request.autonaming if request.HasField("autonaming") else None
        old = wire(request.olds)
        if options and options.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE:
            return f"{name.property} is missing, and autonaming is off: give a name"
        if name.property in old and name.property in old.get(DEFAULTS, []):
            inputs[name.property] = old[name.property]
        elif options and options.proposed_name:
            inputs[name.property] = options.proposed_name + name.suffix(inputs)
        else:
            digits = random.Random(request.randomSeed).randbytes(4).hex()  # noqa: S311 - the engine's seed
            inputs[name.property] = declared.generated_name(_name(request), digits, inputs)
        inputs[DEFAULTS] = [name.property]
    given = inputs[name.property]
    problem = None if has_unknown(given) or not isinstance(given, str) else name.problem(given)
    return f"{name.property} {problem}" if problem else None


def _changes(declared: ResourceType | None, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """The differences that AWS would see, e.g. not those of spaces in a JSON text."""
    found = differences(old, new)
    if declared is None:
        return found
    return {
        path: kind
        for path, kind in found.items()
        if _top(path) not in declared.members
        or has_unknown(new.get(_top(path)))
        or not equal(declared.members[_top(path)], old.get(_top(path)), new.get(_top(path)))
    }


def _top(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _touches(path: str, replaced: str) -> bool:
    return path == replaced or path.startswith((f"{replaced}.", f"{replaced}["))


def _said(error: Exception) -> str:
    return str(error).replace(" (reached max retries: 0)", "")


@contextmanager
def _failing(context: Any, doing: str) -> Generator[None]:
    try:
        yield
    except _FAILURES as error:
        _fail(context, f"{doing}: {_said(error)}")


def _fail(context: Any, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")


def _abort_with(context: Any, message: str, detail: provider_pb2.ErrorResourceInitFailed) -> NoReturn:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message, details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    _fail(context, message)
