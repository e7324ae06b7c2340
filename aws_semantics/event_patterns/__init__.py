"""Event patterns, the language of Lambda's `FilterCriteria` and of pipes: check them, run them, find the dead ones."""

from aws_semantics.event_patterns.lint import Finding, impossible, lint, names_at_the_top
from aws_semantics.event_patterns.operators import InvalidPattern
from aws_semantics.event_patterns.pattern import Pattern, matches, validate

__all__ = ["Finding", "InvalidPattern", "Pattern", "impossible", "lint", "matches", "names_at_the_top", "validate"]
