"""Policy evaluation: what a role may do, without I/O."""
