"""What an event source mapping does with the records of a shard: state machines without I/O, threads or clocks."""
