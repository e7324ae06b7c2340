"""The control API, for what AWS has no API: faults, the clock, what a log holds."""
