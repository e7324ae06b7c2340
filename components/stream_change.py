"""Refuses a deployment that gives a running consumer another stream, or another place to begin, without being asked to.

The engine runs the check before it updates the component, in a preview too, so that nothing has been changed when it
fails. Its own protection comes step by step, when the table's stream may be another one already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from components.stream_source import StreamSource

#: Receives what changes ("a from 1 to 2") and the component's former outputs; returns the refusal.
Refusal = Callable[[str, Mapping[str, Any]], str]


def kept(
    name: str, inputs: Mapping[str, Any], refusal: Refusal, *, allowed: bool, opts: pulumi.ResourceOptions | None
) -> pulumi.ResourceOptions | None:
    """Make the options of a component whose inputs a deployment must not change.

    Args:
        name: The component's name.
        inputs: The inputs that it is registered with. A stack that was deployed before they were registered may gain
            them.
        refusal: Words the refusal.
        allowed: `True` if this change was asked for.
        opts: Options of the component.
    """
    if allowed:
        return opts

    def check(args: pulumi.ResourceHookArgs) -> None:
        old, outputs = args.old_inputs or {}, args.old_outputs or {}
        changes = [
            f"{key} from {old[key]} to {value}" for key, value in inputs.items() if key in old and old[key] != value
        ]
        if changes:
            raise pulumi.RunError(f"{name}: {refusal(' and '.join(changes), outputs)}")

    hook = pulumi.ResourceHook(f"weir:stream-change:{name}", check, pulumi.ResourceHookOptions(on_dry_run=True))
    binding = pulumi.ResourceHookBinding(before_update=[hook])
    return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(hooks=binding), opts)


def place_of(source: StreamSource, starting_position: str) -> dict[str, Any]:
    """Name where a reader begins, as its component is registered with. A new stream of its table is the table's."""
    stream = source.arn if isinstance(source.arn, str) else source.table
    return {"startingPosition": starting_position, "stream": stream}


def other_place(changes: str, _outputs: Mapping[str, Any]) -> str:
    """Word the refusal of another place to begin."""
    return (
        f"{changes}: it would be replaced and begin elsewhere in the stream, so that changes which wait now would be "
        "skipped, or old ones come again. To do it, wait until its iterator age is 0 and pass "
        "allow_stream_change=True; a new reader under another name needs no permission (docs/guides/deploy.md)"
    )


def other_queue(changes: str, _outputs: Mapping[str, Any]) -> str:
    """Word the refusal of a queue as the source in place of another queue or of a stream."""
    return (
        f"{changes}: it would be replaced, and what waits in its former source would stay there with nobody to "
        "read it. To do it, wait until that is empty and pass allow_stream_change=True; a new pipe under another name "
        "needs no permission (docs/guides/deploy.md)"
    )
