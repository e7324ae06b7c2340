"""The API of EventBridge Pipes (docs/aws-semantics.md §3).

https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from local.api_models import violations
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.pages import page_of
from local.endpoint.delivery.history import History
from local.endpoint.delivery.pipe import PipeDependencies, PipeRun
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.routes import Routes
from local.endpoint.services.pipe_roles import check_role, source_problem
from local.endpoint.services.pipe_sources import Connect, PipeSources
from local.engine.pipes.admission import problems, validation_message
from local.engine.pipes.configuration import completed, not_simulated, updated
from local.engine.pipes.sources import source_of

Parameters = Mapping[str, Any]

#: AWS's StateReason of a pipe that runs without a problem (PIPE-CREATE-6).
_RUNS_STREAM, _RUNS_QUEUE = "No records processed", "USER_INITIATED"


class Pipe:
    """One pipe: its configuration, its state, and the poller that delivers.

    Attributes:
        configuration: DescribePipe's answer, without the state.
    """

    def __init__(
        self, configuration: dict[str, Any], *, connect: Connect, account_id: str, dependencies: PipeDependencies
    ) -> None:
        self.configuration = configuration
        self.history = History()
        self.state = "CREATING"
        self._problem = ""
        self._connect = connect
        self._account_id = account_id
        self._with = dependencies
        self._poller: PollingThread | None = None

    @property
    def name(self) -> str:
        """The pipe's name."""
        return self.configuration["Name"]

    @property
    def source_arn(self) -> str:
        """ARN of the stream or queue that it reads."""
        return self.configuration["Source"]

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: its source is finished, or it does not run."""
        poller = self._poller
        return poller.idle if poller is not None else self.state == "STOPPED" or self.state.endswith("_FAILED")

    @property
    def unfinished(self) -> int:
        """Number of records or messages that it has read and not finished."""
        poller = self._poller
        return 0 if poller is None else poller.unfinished

    @property
    def state_reason(self) -> str:
        """The reason for its state; empty if AWS gives none."""
        if self._problem or self.state != "RUNNING":
            return self._problem
        return _RUNS_STREAM if source_of(self.source_arn).is_stream else _RUNS_QUEUE

    def start(self) -> None:
        """Begin to deliver, from where it was."""
        run = PipeRun(
            self.configuration,
            dependencies=self._with,
            account_id=self._account_id,
            history=self.history,
            on_problem=self._note,
        )
        self._poller = self._connect(run)
        self._poller.start()
        self.state, self._problem = "RUNNING", ""

    def rest(self, state: str, reason: str = "") -> None:
        """Enter a state in which nothing is delivered."""
        self.state, self._problem = state, reason

    def stop(self, then: Callable[[], None]) -> None:
        """Stop delivering, and call `then` once the executions that run now have ended."""
        poller, self._poller = self._poller, None
        if poller is None:
            then()
            return
        poller.stop()

        def finish() -> None:
            poller.join()
            then()

        threading.Thread(target=finish, name=f"pipe-{self.name}-stop", daemon=True).start()

    def _note(self, problem: str) -> None:
        if self.state == "RUNNING":
            self._problem = problem

    def wake(self) -> None:
        """Look at the source again."""
        poller = self._poller
        if poller is not None:
            poller.wake()


class Pipes:
    """The API: each operation takes its parameters by AWS's names and returns the answer's status and body.

    Args:
        sources: Connects pipes with their sources.
        dependencies: The services and clocks that pipes share.
        region: Region in the pipes' ARNs.
        account_id: Account in the pipes' ARNs.
    """

    def __init__(self, *, sources: PipeSources, dependencies: PipeDependencies, region: str, account_id: str) -> None:
        self._sources = sources
        self._with = dependencies
        self._arn = f"arn:aws:pipes:{region}:{account_id}:pipe/"
        self._account_id = account_id
        self._pipes: dict[str, Pipe] = {}
        self._lock = threading.RLock()

    @property
    def routes(self) -> Routes:
        """The operations."""
        return Routes(
            answered={
                "pipes:CreatePipe": self.create_pipe,
                "pipes:DeletePipe": self.delete_pipe,
                "pipes:DescribePipe": self.describe_pipe,
                "pipes:ListPipes": self.list_pipes,
                "pipes:StartPipe": self.start_pipe,
                "pipes:StopPipe": self.stop_pipe,
                "pipes:UpdatePipe": self.update_pipe,
            }
        )

    def all(self) -> list[Pipe]:
        """Return every pipe."""
        with self._lock:
            return list(self._pipes.values())

    def get(self, name: str) -> Pipe:
        """Return one pipe.

        Raises:
            AwsError: It does not exist.
        """
        with self._lock:
            pipe = self._pipes.get(name)
        if pipe is None:
            raise AwsError("NotFoundException", f"Pipe {name} does not exist.", status=404)
        return pipe

    def create_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer CreatePipe."""
        _check(parameters)
        now = self._with.clock.now()
        arn = self._arn + parameters["Name"]
        configuration = {**completed(parameters), "Arn": arn, "CreationTime": now, "LastModifiedTime": now}
        check_role(self._with.roles, configuration)
        # Made before the lock is taken: it calls the endpoint, which may be waiting for the lock.
        connect = self._sources.connect(configuration)
        with self._lock:
            if parameters["Name"] in self._pipes:
                raise AwsError("ConflictException", f"Pipe {parameters['Name']} already exists.", status=409)
            pipe = Pipe(configuration, connect=connect, account_id=self._account_id, dependencies=self._with)
            self._pipes[pipe.name] = pipe
        answer = _summary(pipe)
        self._reach(pipe, failed="CREATE_FAILED")
        return 200, answer

    def describe_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer DescribePipe."""
        pipe = self.get(parameters["Name"])
        return 200, {**pipe.configuration, "CurrentState": pipe.state, **_reason(pipe)}

    def update_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer UpdatePipe. It takes effect after the running executions, from the same position."""
        for problem in violations("pipes", "UpdatePipe", parameters):
            raise AwsError("ValidationException", problem)
        pipe = self.get(parameters["Name"])
        configuration = updated(pipe.configuration, parameters)
        _check({name: value for name, value in configuration.items() if name not in _ANSWERED})
        check_role(self._with.roles, configuration)
        return 200, self._change(pipe, "UPDATING", configuration, failed="UPDATE_FAILED")

    def start_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer StartPipe."""
        pipe = self.get(parameters["Name"])
        check_role(self._with.roles, pipe.configuration)
        running = pipe.configuration | {"DesiredState": "RUNNING"}
        return 200, self._change(pipe, "STARTING", running, failed="START_FAILED")

    def stop_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer StopPipe. The position is kept."""
        pipe = self.get(parameters["Name"])
        return 200, self._change(pipe, "STOPPING", pipe.configuration | {"DesiredState": "STOPPED"})

    def delete_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer DeletePipe. The pipe is gone after the running executions."""
        pipe = self.get(parameters["Name"])
        with self._lock:
            pipe.configuration = pipe.configuration | {"DesiredState": "DELETED"}
            pipe.state = "DELETING"
        answer = _summary(pipe)

        def then() -> None:
            with self._lock:
                self._pipes.pop(pipe.name, None)

        pipe.stop(then)
        return 200, answer

    def list_pipes(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer ListPipes, at most a hundred on a page."""
        numbered = {**parameters, **({"Limit": int(parameters["Limit"])} if "Limit" in parameters else {})}
        for problem in violations("pipes", "ListPipes", numbered):
            raise AwsError("ValidationException", problem)
        summaries = [
            {**_summary(pipe), **_reason(pipe), **{name: pipe.configuration[name] for name in ("Source", "Target")}}
            | ({"Enrichment": pipe.configuration["Enrichment"]} if "Enrichment" in pipe.configuration else {})
            for pipe in sorted(self.all(), key=lambda pipe: pipe.name)
        ]
        filters = {name: value for name, value in parameters.items() if name not in ("Limit", "NextToken")}
        for member, prefix in filters.items():
            name = member.removesuffix("Prefix")
            if name == member:
                summaries = [each for each in summaries if each[name] == prefix]
            else:
                summaries = [each for each in summaries if each[name].startswith(prefix)]
        try:
            page, token = page_of(summaries, size=numbered.get("Limit", 100), token=parameters.get("NextToken"))
        except ValueError as wrong:
            raise AwsError("ValidationException", "Invalid NextToken") from wrong
        return 200, {"Pipes": page, **({} if token is None else {"NextToken": token})}

    def _change(
        self, pipe: Pipe, state: str, configuration: dict[str, Any], *, failed: str | None = None
    ) -> dict[str, Any]:
        self._sources.check_usable(pipe.configuration)
        with self._lock:
            if pipe.state not in ("RUNNING", "STOPPED", "UPDATE_FAILED", "START_FAILED"):
                raise AwsError("ConflictException", f"Pipe {pipe.name} is in the state {pipe.state}.", status=409)
            pipe.configuration = configuration | {"LastModifiedTime": self._with.clock.now()}
            pipe.state = state
        answer = _summary(pipe)
        pipe.stop(lambda: self._reach(pipe, failed=failed))
        return answer

    def _reach(self, pipe: Pipe, *, failed: str | None) -> None:
        """Bring a pipe that does not run into its desired state, or into `failed` if its role is refused."""
        # Found out before the lock is taken: it calls the endpoint, which may be waiting for the lock.
        problem = None if failed is None else source_problem(self._with.roles, pipe.configuration)
        with self._lock:
            if pipe.state == "DELETING":
                return
            if failed is not None and problem is not None:
                pipe.rest(failed, problem)
            elif pipe.configuration["DesiredState"] == "RUNNING":
                pipe.start()
            else:
                pipe.rest("STOPPED")


#: Members that DescribePipe adds to CreatePipe's.
_ANSWERED = ("Arn", "CreationTime", "LastModifiedTime")


def _check(parameters: Parameters) -> None:
    for problem in not_simulated(parameters):
        raise NotSimulated(problem)
    for problem in violations("pipes", "CreatePipe", parameters):
        raise AwsError("ValidationException", problem)
    found = [*problems(parameters)]
    if found:
        raise AwsError("ValidationException", validation_message(found))


def _summary(pipe: Pipe) -> dict[str, Any]:
    of = pipe.configuration
    return {
        **{name: of[name] for name in ("Arn", "Name", "DesiredState", "CreationTime", "LastModifiedTime")},
        "CurrentState": pipe.state,
    }


def _reason(pipe: Pipe) -> dict[str, str]:
    return {"StateReason": pipe.state_reason} if pipe.state_reason else {}
