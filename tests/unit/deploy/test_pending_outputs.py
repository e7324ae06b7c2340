"""The outputs that a program still waits for are awaited a few at a time, and all of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest

from local.deploy import pending
from local.deploy.pending import AT_A_TIME, PendingOutputs
from tests.unit.deploy.test_run_program import run


def test_a_few_are_taken_at_a_time_and_what_is_put_back_comes_again() -> None:
    async def take() -> None:
        futures = [asyncio.get_running_loop().create_future() for _ in range(AT_A_TIME * 3)]
        outputs = PendingOutputs()
        outputs.update(futures)
        seen: set[Any] = set()
        while outputs:
            taken = list(outputs)
            assert len(taken) <= AT_A_TIME
            outputs.clear()
            assert not outputs & {*taken}
            first, *others = taken
            seen.add(first)
            for each in others:
                outputs.add(each)
        assert seen == {*futures}

    asyncio.run(take())


def test_one_that_is_done_in_between_is_gone() -> None:
    async def take() -> None:
        future = asyncio.get_running_loop().create_future()
        outputs = PendingOutputs()
        outputs.add(future)
        assert list(outputs) == [future]
        outputs.remove(future)
        outputs.clear()
        assert len(outputs) == 0

    asyncio.run(take())


def test_a_program_waits_for_every_output_with_work_that_grows_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[int] = []
    original = asyncio.wait

    async def counting(futures: Any, **options: Any) -> Any:
        waited.append(len(futures))
        return await original(futures, **options)

    monkeypatch.setattr(asyncio, "wait", counting)
    number, computed = 400, list[int]()

    async def later(value: int) -> int:
        await asyncio.sleep(0.001 * (value % 7))
        return value

    def program() -> None:
        for each in range(number):
            pulumi.Output.from_input(later(each)).apply(computed.append)

    run(program)
    assert sorted(computed) == list(range(number))
    assert max(waited) <= pending.AT_A_TIME


def test_an_output_that_fails_ends_the_program() -> None:
    def program() -> None:
        for each in range(AT_A_TIME * 4):
            pulumi.Output.from_input(each).apply(lambda value: 1 // (value - 40))

    with pytest.raises(ZeroDivisionError):
        run(program)


def test_a_refusal_is_reported_and_not_its_wrapping_by_a_resource_that_waits_for_it() -> None:
    async def wrapped() -> str:
        refused = pulumi.RunError("a FIFO queue would lose them: choose a standard one")
        raise ValueError("While processing resource: 'letters'") from refused

    with pytest.raises(pulumi.RunError) as refused:
        run(lambda: pulumi.Output.from_input(wrapped()))
    assert str(refused.value) == "a FIFO queue would lose them: choose a standard one"
