"""Facts and languages of AWS, as docs/aws-semantics.md states them: standard library only, no I/O."""
