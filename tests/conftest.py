"""Shared by every tier: how long property tests look for a counterexample.

`make test` looks briefly and at the same examples every time; `make property` looks long and at new ones, and prints
how to repeat what it finds (`print_blob`, and the seed in the header).
"""

from __future__ import annotations

import gc
import os
import random
import signal

import pytest
from hypothesis import HealthCheck, settings

#: Pulumi's SDK and pydantic keep millions of small objects alive: collecting them as often as by default takes a fifth
#: of the tests' time.
gc.set_threshold(100_000, 50, 50)

_UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}

settings.register_profile("brief", max_examples=30, derandomize=True, database=None, **_UNTIMED)
settings.register_profile("long", max_examples=int(os.environ.get("PROPERTY_EXAMPLES", "10000")), **_UNTIMED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "brief"))


def pytest_configure(config: pytest.Config) -> None:
    """Let started commands be interrupted, and give the long run a seed, unless one comes from `--hypothesis-seed`."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a job in the background of a script, and all that it starts
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("HYPOTHESIS_PROFILE") == "long" and config.getoption("hypothesis_seed") is None:
        config.option.hypothesis_seed = os.environ.get("PROPERTY_SEED", str(random.SystemRandom().getrandbits(32)))


def pytest_report_header(config: pytest.Config) -> str:
    """The seed of random examples, to repeat them with `--hypothesis-seed`."""
    return f"property tests: profile {settings.get_current_profile_name()}, seed {config.getoption('hypothesis_seed')}"
