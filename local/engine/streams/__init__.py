"""Delivery of a stream's records by an event source mapping: state machines without I/O, threads or clocks."""
