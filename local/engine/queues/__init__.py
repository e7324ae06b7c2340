"""Batches of a queue and the settings of its event source mapping, without I/O."""
