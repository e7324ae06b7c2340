"""Queue batches and the settings of a queue's event source mapping, without I/O."""
