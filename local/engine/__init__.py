"""The delivery engine: state machines and data of AWS's delivery services, without I/O, threads or clocks."""
