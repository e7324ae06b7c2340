"""`protect_stack`: lets Pulumi refuse to delete or replace anything of a stack."""

from __future__ import annotations

from contextvars import ContextVar

import pulumi

#: `True` once the running program has protected its stack. Each run of a program has a context of its own.
_protected: ContextVar[bool] = ContextVar("weir_protected", default=False)


def protect_stack(protect: bool) -> None:
    """Protect every resource that the program makes from here on.

    Pulumi then refuses a `destroy` whole, before its first step, and each replacement. To remove one consumer, give it
    `pulumi.ResourceOptions(protect=False)`, run `pulumi up`, take its statement away and run `pulumi up` again: its
    dead letters stay. Guide: docs/guides/deploy.md.

    Args:
        protect: Usually `StackConfig.protect`; `False` does nothing.
    """
    if protect:
        _protected.set(True)
        pulumi.runtime.register_stack_transformation(_protect)


def is_protected() -> bool:
    """Tell whether the running program has protected its stack."""
    return _protected.get()


def _protect(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    # A child inherits the option from its parent, so that a consumer can be let go as a whole.
    if args.opts.parent is None and args.opts.protect is None:
        args.opts.protect = True
    return pulumi.ResourceTransformationResult(args.props, args.opts)
