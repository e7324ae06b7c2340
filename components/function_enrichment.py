"""`FunctionEnrichment`: a function of the project that evaluates a pipe's condition and prepares its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pulumi

from components.access import Access
from components.function_settings import FunctionSettings
from components.needs import check_needs
from components.pipe_targets import Enrichment, FunctionTarget
from components.python_function import PythonFunction
from components.refusal import Refused
from handlers.cdc import Condition
from handlers.cdc.enrichment import Enriching


@dataclass(frozen=True, kw_only=True)
class FunctionEnrichment:
    """An enrichment that is a module of the project, decorated with `@enrichment(when=…)`.

    The pipe makes its function. Its condition is the pipe's: AWS evaluates as much of it as event patterns say, and the
    function the whole of it.

    Attributes:
        handler: The module's `@enrichment`, e.g. `wanted_plans.handler`.
        access: Permissions of the function.
        environment: Variables beyond those of `access`.
        function: How the function runs.

    Raises:
        Refused: `@enrichment` did not make the handler.

    Example:
        FunctionEnrichment(handler=wanted_plans.handler)
    """

    handler: Enriching
    access: Sequence[Access] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    function: FunctionSettings = field(default_factory=FunctionSettings)

    evaluates_condition: ClassVar[bool] = True
    #: The function decodes the events, so no template may come between.
    input_template: ClassVar[str | None] = None
    maximum_batch: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_handler(self.handler)

    def problem(self) -> str | None:
        """Explain why AWS refuses this enrichment: nothing does."""
        return None

    def made(self, name: str, opts: pulumi.ResourceOptions) -> Enrichment:
        """Make the function."""
        check_needs(name, self.handler.module, self.access, self.environment)
        made = PythonFunction(
            f"{name}-enrichment",
            entry_point=self.handler.entry_point,
            access=self.access,
            environment=self.environment,
            settings=self.function,
            opts=opts,
        )
        return Enrichment(by=FunctionTarget(arn=made.function.arn), evaluates_condition=True)


def condition_of(
    name: str, when: Condition | None, enrichment: Enrichment | FunctionEnrichment | None
) -> Condition | None:
    """Return the condition of a pipe: its own, or that of the function that enriches it.

    Raises:
        Refused: They differ, so that one of the two would be evaluated nowhere.
    """
    if not isinstance(enrichment, FunctionEnrichment):
        return when
    evaluated = enrichment.handler.condition
    if when is not None and when != evaluated:
        raise Refused(
            f"{name}: when is {when!r}, and the enrichment {enrichment.handler.entry_point} evaluates {evaluated!r}: "
            "leave when out, the enrichment's condition is the pipe's"
        )
    return evaluated


def check_handler(handler: object) -> None:
    """Refuse what `@enrichment` did not make.

    Raises:
        Refused: It did not.
    """
    if not isinstance(handler, Enriching):
        raise Refused(
            f"the enrichment's handler is {handler!r}, which @enrichment did not make: decorate the module's function "
            "with @enrichment(when=…) of handlers.cdc.enrichment"
        )
