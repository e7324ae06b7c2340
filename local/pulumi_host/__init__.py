"""The Python language host of the Pulumi engine, for machines that have the engine and not the official host.

It is never put on a user's PATH or into an ordinary PULUMI_HOME: `weir local pulumi` starts the engine with it.
"""
