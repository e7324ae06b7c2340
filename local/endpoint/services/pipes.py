"""The API of EventBridge Pipes (docs/aws-semantics.md §3).

https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from local.api_models import violations
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.delivery.history import History
from local.endpoint.delivery.pipe import PipeRunner, Surroundings
from local.endpoint.services.event_source_mappings import Runner
from local.endpoint.services.pipe_roles import check_role, source_problem
from local.endpoint.services.pipe_sources import Connect, PipeSources
from local.engine.pipes.admission import problems
from local.engine.pipes.configuration import completed, not_simulated, updated
from local.engine.pipes.sources import source_of

Parameters = Mapping[str, Any]

#: What AWS says of a pipe that runs and has nothing to say (PIPE-CREATE-6).
_RUNS_STREAM, _RUNS_QUEUE = "No records processed", "USER_INITIATED"


class Pipe:
    """One pipe: its configuration, its state, and what runs it.

    Attributes:
        configuration: As DescribePipe answers it, without the state.
    """

    def __init__(
        self, configuration: dict[str, Any], *, connect: Connect, account_id: str, surroundings: Surroundings
    ) -> None:
        self.configuration = configuration
        self.history = History()
        self.state = "CREATING"
        self._problem = ""
        self._connect = connect
        self._account_id = account_id
        self._with = surroundings
        self._runner: Runner | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.configuration["Name"]

    @property
    def source_arn(self) -> str:
        """ARN of what it reads."""
        return self.configuration["Source"]

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: everything that was written is done with, or it does not run."""
        runner = self._runner
        return runner.idle if runner is not None else self.state == "STOPPED" or self.state.endswith("_FAILED")

    @property
    def unfinished(self) -> int:
        """How many records or messages it has read and is not done with."""
        return 0 if self._runner is None else self._runner.unfinished

    @property
    def state_reason(self) -> str:
        """Why it is in its state; empty when there is nothing to say."""
        if self._problem or self.state != "RUNNING":
            return self._problem
        return _RUNS_STREAM if source_of(self.source_arn).is_stream else _RUNS_QUEUE

    def start(self) -> None:
        """Begin to deliver, from where it was."""
        runner = PipeRunner(
            self.configuration,
            surroundings=self._with,
            account_id=self._account_id,
            history=self.history,
            on_problem=self._note,
        )
        self._runner = self._connect(runner)
        self._runner.start()
        self.state, self._problem = "RUNNING", ""

    def rest(self, state: str, reason: str = "") -> None:
        """Be in a state in which nothing is delivered."""
        self.state, self._problem = state, reason

    def stop(self, then: Callable[[], None]) -> None:
        """Deliver no more, and call `then` once the executions that run now have ended."""
        runner, self._runner = self._runner, None
        if runner is None:
            then()
            return
        runner.stop()

        def finish() -> None:
            runner.join()
            then()

        threading.Thread(target=finish, name=f"pipe-{self.name}-stop", daemon=True).start()

    def _note(self, problem: str) -> None:
        if self.state == "RUNNING":
            self._problem = problem

    def wake(self) -> None:
        """There may be something to deliver, or time has passed."""
        if self._runner is not None:
            self._runner.wake()


class Pipes:
    """The API: each operation takes its parameters by AWS's names and returns the answer's status and body.

    Args:
        sources: Where they read.
        surroundings: What pipes work with.
        region: Of their ARNs.
        account_id: Likewise.
    """

    def __init__(self, *, sources: PipeSources, surroundings: Surroundings, region: str, account_id: str) -> None:
        self._sources = sources
        self._with = surroundings
        self._arn = f"arn:aws:pipes:{region}:{account_id}:pipe/"
        self._account_id = account_id
        self._pipes: dict[str, Pipe] = {}
        self._lock = threading.RLock()

    def all(self) -> list[Pipe]:
        """Every pipe."""
        with self._lock:
            return list(self._pipes.values())

    def get(self, name: str) -> Pipe:
        """One pipe.

        Raises:
            AwsError: There is none.
        """
        with self._lock:
            pipe = self._pipes.get(name)
        if pipe is None:
            raise AwsError("NotFoundException", f"Pipe {name} does not exist.", status=404)
        return pipe

    def wake_readers_of(self, tables: Collection[str]) -> None:
        """Tables have changed."""
        for pipe in self.all() if tables else ():
            service, _, table = pipe.source_arn.partition(":table/")
            if service.startswith("arn:aws:dynamodb:") and table.partition("/")[0] in tables:
                pipe.wake()

    def wake_readers_of_kinesis(self, stream: str | None) -> None:
        """There are records in a Kinesis stream; `None` for none."""
        for pipe in () if stream is None else self.all():
            service, _, name = pipe.source_arn.partition(":stream/")
            if service.startswith("arn:aws:kinesis:") and name == stream:
                pipe.wake()

    def wake_readers_of_queues(self) -> None:
        """There may be messages in a queue."""
        for pipe in self.all():
            if pipe.source_arn.startswith("arn:aws:sqs:"):
                pipe.wake()

    def wake_all(self) -> None:
        """Time has passed."""
        for pipe in self.all():
            pipe.wake()

    def create_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """CreatePipe."""
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
            pipe = Pipe(configuration, connect=connect, account_id=self._account_id, surroundings=self._with)
            self._pipes[pipe.name] = pipe
        answer = _summary(pipe)
        self._reach(pipe, failed="CREATE_FAILED")
        return 200, answer

    def describe_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """DescribePipe."""
        pipe = self.get(parameters["Name"])
        return 200, {**pipe.configuration, "CurrentState": pipe.state, **_reason(pipe)}

    def update_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """UpdatePipe: takes effect after the executions that run now, from the same position."""
        for problem in violations("pipes", "UpdatePipe", parameters):
            raise AwsError("ValidationException", problem)
        pipe = self.get(parameters["Name"])
        configuration = updated(pipe.configuration, parameters)
        _check({name: value for name, value in configuration.items() if name not in _ANSWERED})
        check_role(self._with.roles, configuration)
        return 200, self._change(pipe, "UPDATING", configuration, failed="UPDATE_FAILED")

    def start_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """StartPipe."""
        pipe = self.get(parameters["Name"])
        check_role(self._with.roles, pipe.configuration)
        running = pipe.configuration | {"DesiredState": "RUNNING"}
        return 200, self._change(pipe, "STARTING", running, failed="START_FAILED")

    def stop_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """StopPipe: the position is kept."""
        pipe = self.get(parameters["Name"])
        return 200, self._change(pipe, "STOPPING", pipe.configuration | {"DesiredState": "STOPPED"})

    def delete_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """DeletePipe: gone after the executions that run now."""
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
        """ListPipes, all of them on one page."""
        summaries = [
            {**_summary(pipe), **_reason(pipe), **{name: pipe.configuration[name] for name in ("Source", "Target")}}
            | ({"Enrichment": pipe.configuration["Enrichment"]} if "Enrichment" in pipe.configuration else {})
            for pipe in sorted(self.all(), key=lambda pipe: pipe.name)
        ]
        for member, prefix in parameters.items():
            name = member.removesuffix("Prefix")
            if name == member:
                summaries = [each for each in summaries if each[name] == prefix]
            else:
                summaries = [each for each in summaries if each[name].startswith(prefix)]
        return 200, {"Pipes": summaries}

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
        """Bring a pipe that does not run into its desired state, or into `failed` when its role is refused."""
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


#: Members that DescribePipe adds to what was asked for.
_ANSWERED = ("Arn", "CreationTime", "LastModifiedTime")


def _check(parameters: Parameters) -> None:
    for problem in not_simulated(parameters):
        raise NotSimulated(problem)
    for problem in violations("pipes", "CreatePipe", parameters):
        raise AwsError("ValidationException", problem)
    for problem in problems(parameters):
        raise AwsError("ValidationException", problem)


def _summary(pipe: Pipe) -> dict[str, Any]:
    of = pipe.configuration
    return {
        **{name: of[name] for name in ("Arn", "Name", "DesiredState", "CreationTime", "LastModifiedTime")},
        "CurrentState": pipe.state,
    }


def _reason(pipe: Pipe) -> dict[str, str]:
    return {"StateReason": pipe.state_reason} if pipe.state_reason else {}
