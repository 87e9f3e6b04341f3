from __future__ import annotations

import asyncio

import pytest

from mlops_magics.serving.patience import Patience


def test_what_takes_too_long_is_cut_off_and_nothing_else() -> None:
    async def scene() -> None:
        patience = Patience(0.2)
        ended: list[str] = []

        async def takes(seconds: float) -> None:
            try:
                with patience:
                    await asyncio.sleep(seconds)
                ended.append("in time")
            except TimeoutError:
                ended.append("late")
            await asyncio.sleep(0)  # the cut is over: this is not cut off, too

        first = [asyncio.create_task(takes(seconds)) for seconds in (0.0, 5.0, 0.05, 5.0)]
        await asyncio.sleep(0.15)
        later = asyncio.create_task(takes(0.15))  # its time begins here
        await asyncio.wait_for(asyncio.gather(*first, later), 5)
        assert sorted(ended) == ["in time", "in time", "in time", "late", "late"]
        assert not any(task.cancelling() for task in (*first, later))

    asyncio.run(scene())


def test_a_task_that_is_cancelled_by_others_stays_cancelled() -> None:
    async def scene() -> None:
        patience = Patience(5)

        async def waits() -> None:
            with patience:
                await asyncio.sleep(5)

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
