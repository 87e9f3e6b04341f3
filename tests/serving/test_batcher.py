from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import numpy as np
import pytest
from endpoint import BEARER, application
from sklearn.linear_model import LinearRegression

from mlops_magics.artifact.loading import LoadedModel, Method
from mlops_magics.serving.batcher import Batcher, Job
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.rows import Columns


class Doubler:
    """Doubles a column, remembers what it was asked at once, and can be held up."""

    def __init__(self) -> None:
        self.calls: list[tuple[Method, list[float]]] = []
        self.quick_rows = 0
        self.gate = threading.Event()
        self.gate.set()

    def quick(self, rows: int) -> bool:
        return rows <= self.quick_rows

    def predict(self, columns: Columns, rows: int, method: Method) -> np.ndarray[Any, Any]:
        assert self.gate.wait(5)
        values = columns["x"]
        assert rows == len(values)
        self.calls.append((method, values.tolist()))
        if (values < 0).any():
            raise ValueError("the secret is -1")
        return values * 2


def batch(*values: float, method: Method = "predict") -> Batch:
    return Batch({"x": np.array(values, dtype=float)}, len(values), method)


def play(scene: Callable[[Batcher, Doubler], Coroutine[Any, Any, None]], **options: int) -> Doubler:
    predictor = Doubler()

    async def run() -> None:
        batcher = Batcher(predictor, **options)
        try:
            await asyncio.wait_for(scene(batcher, predictor), 10)
        finally:
            predictor.gate.set()
            await batcher.stop()

    asyncio.run(run())
    return predictor


async def first(batcher: Batcher, predictor: Doubler) -> Job:
    """Let one request occupy the worker, so that others queue."""
    predictor.gate.clear()
    job = batcher.submit(batch(0), "first")
    await asyncio.sleep(0.05)
    return job


def test_what_queued_meanwhile_goes_together_and_comes_back_apart() -> None:
    async def scene(batcher: Batcher, predictor: Doubler) -> None:
        await first(batcher, predictor)
        jobs = [batcher.submit(batch(*[n] * n), str(n)) for n in (1, 2, 3)]
        assert batcher.waiting == 3
        predictor.gate.set()
        answers = [(await job.answer).tolist() for job in jobs]
        assert answers == [[2], [4, 4], [6, 6, 6]]
        assert all(job.queued <= job.started <= job.ended for job in jobs)

    assert play(scene).calls == [("predict", [0]), ("predict", [1, 2, 2, 3, 3, 3])]


def test_methods_do_not_mix_and_keep_their_turn() -> None:
    async def scene(batcher: Batcher, predictor: Doubler) -> None:
        await first(batcher, predictor)
        jobs = [
            batcher.submit(batch(n, method="predict_proba" if n % 2 else "predict"), "") for n in range(1, 5)
        ]
        predictor.gate.set()
        assert [(await job.answer).tolist() for job in jobs] == [[2], [4], [6], [8]]

    assert play(scene).calls[1:] == [("predict_proba", [1, 3]), ("predict", [2, 4])]


@pytest.mark.parametrize(("options", "sizes"), [({"requests": 2}, [2, 2, 1]), ({"rows": 3}, [3, 2])])
def test_a_group_has_a_largest_size(options: dict[str, int], sizes: list[int]) -> None:
    async def scene(batcher: Batcher, predictor: Doubler) -> None:
        await first(batcher, predictor)
        jobs = [batcher.submit(batch(n), "") for n in range(5)]
        predictor.gate.set()
        await asyncio.gather(*(job.answer for job in jobs))

    assert [len(values) for _, values in play(scene, **options).calls[1:]] == sizes


def test_a_full_queue_is_a_429_until_somebody_leaves() -> None:
    async def scene(batcher: Batcher, predictor: Doubler) -> None:
        await first(batcher, predictor)
        jobs = [batcher.submit(batch(n), "") for n in range(2)]
        with pytest.raises(RequestError) as caught:
            batcher.submit(batch(9), "")
        assert caught.value.status == 429
        jobs[0].answer.cancel()
        last = batcher.submit(batch(7), "")
        predictor.gate.set()
        assert (await last.answer).tolist() == [14]

    assert play(scene, queue=2).calls[1:] == [("predict", [1, 7])]


def test_a_dropped_request_is_never_computed() -> None:
    async def scene(batcher: Batcher, predictor: Doubler) -> None:
        await first(batcher, predictor)
        gone, stays = batcher.submit(batch(1), ""), batcher.submit(batch(2), "")
        gone.answer.cancel()
        assert batcher.waiting == 1
        predictor.gate.set()
        await stays.answer

    assert play(scene).calls[1:] == [("predict", [2])]


def test_one_bad_row_hurts_only_its_own_request(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(batcher: Batcher, predictor: Doubler) -> None:
        await first(batcher, predictor)
        jobs = [batcher.submit(batch(n), f"id{n}") for n in (1, -1, 3, 4, 5)]
        predictor.gate.set()
        answers = await asyncio.gather(*(job.answer for job in jobs), return_exceptions=True)
        bad = answers.pop(1)
        assert isinstance(bad, RequestError)
        assert bad.status == 500
        assert "secret" not in bad.message
        assert [answer.tolist() for answer in answers if isinstance(answer, np.ndarray)] == [
            [2],
            [6],
            [8],
            [10],
        ]

    with caplog.at_level(logging.ERROR):
        play(scene)
    assert [record.getMessage().split(" in ")[0] for record in caplog.records] == ["request id-1: ValueError"]
    assert "secret" not in caplog.text


def test_too_few_answers_are_an_error_and_not_mixed_up() -> None:
    class Short(Doubler):
        def predict(self, columns: Columns, rows: int, method: Method) -> np.ndarray[Any, Any]:
            return super().predict(columns, rows, method)[:-1]

    async def run() -> None:
        batcher = Batcher(Short())
        with pytest.raises(RequestError):
            await batcher.submit(batch(1, 2), "").answer
        await batcher.stop()

    asyncio.run(run())


def test_stopping_answers_what_waits_and_takes_no_more() -> None:
    async def scene(batcher: Batcher, predictor: Doubler) -> None:
        await first(batcher, predictor)
        waits = batcher.submit(batch(1), "")
        predictor.gate.set()
        await batcher.stop()
        assert waits.answer.result().tolist() == [2]
        with pytest.raises(RequestError) as caught:
            batcher.submit(batch(2), "")
        assert caught.value.status == 503

    play(scene)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mlops-predict")]


def test_quick_requests_of_one_turn_are_computed_together_and_before_any_other_turn() -> None:
    async def run() -> None:
        doubler = Doubler()
        doubler.quick_rows = 2
        batcher = Batcher(doubler)
        jobs = [batcher.submit(batch(value), "") for value in range(3)]
        assert all(job.quick for job in jobs)
        assert not doubler.calls
        assert batcher.waiting == 3
        await asyncio.sleep(0)
        assert doubler.calls == [("predict", [0, 1, 2])]
        assert [job.answer.result().tolist() for job in jobs] == [[0], [2], [4]]
        assert all(job.queued <= job.started <= job.ended for job in jobs)
        assert not batcher.submit(batch(1, 2, 3), "").quick
        await batcher.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("turns", "groups"),
    [
        ([1, 1], [1, 1]),  # one alone waits for nobody
        ([3, 3], [3, 3]),
        ([4, 4], [8]),
        ([4, 4, 4, 4, 4], [12, 8]),  # however many come, nobody waits for ever
        ([4, 0, 4], [4, 4]),  # nobody more comes
        ([6, 4], [6, 4]),  # it is full
    ],
)
def test_where_several_come_quick_requests_of_the_next_turns_go_with_them(
    turns: list[int], groups: list[int]
) -> None:
    async def scene(batcher: Batcher, doubler: Doubler) -> None:
        doubler.quick_rows = 1
        jobs: list[Job] = []
        for turn in turns:
            jobs += [batcher.submit(batch(len(jobs)), "") for _ in range(turn)]
            await asyncio.sleep(0)  # a turn of the event loop
        for job in jobs:
            await job.answer
        assert [len(cells) for _, cells in doubler.calls] == groups

    play(scene, requests=6 if turns[0] == 6 else 64)


def test_a_quick_request_that_fails_fails_alone() -> None:
    async def run() -> None:
        doubler = Doubler()
        doubler.quick_rows = 2
        batcher = Batcher(doubler)
        jobs = [batcher.submit(batch(value), "") for value in (1, -1, 3)]
        answers = await asyncio.gather(*(job.answer for job in jobs), return_exceptions=True)
        assert isinstance(answers[1], RequestError)
        assert [answers[0].tolist(), answers[2].tolist()] == [[2], [6]]
        await batcher.stop()

    asyncio.run(run())


def test_quick_requests_count_as_waiting_too() -> None:
    async def run() -> None:
        doubler = Doubler()
        doubler.quick_rows = 2
        batcher = Batcher(doubler, queue=2)
        jobs = [batcher.submit(batch(value), "") for value in (1, 2)]
        with pytest.raises(RequestError) as caught:
            batcher.submit(batch(3), "")
        assert caught.value.status == 429
        assert [(await job.answer).tolist() for job in jobs] == [[2], [4]]
        await batcher.stop()

    asyncio.run(run())


def test_requests_that_bring_other_columns_are_answered_each_by_itself() -> None:
    model = LinearRegression()
    model.coef_, model.intercept_, model.n_features_in_ = np.array([1.0, 10.0]), 0.0, 2  # knows no names
    app = application(LoadedModel(model, None, None, None, "predict"))
    asked = [{"a": [1.0], "b": [2.0]}, {"b": [1.0], "a": [2.0]}, {"a": [1.0], "b": [2.0], "c": [3.0]}] * 4

    async def scene() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=BEARER
        ) as client:
            answers = await asyncio.gather(
                *(client.post("/invocations", json={"inputs": columns}) for columns in asked)
            )
        await app.lanes.live.batcher.stop()
        return answers

    answers = asyncio.run(scene())
    assert [answer.status_code for answer in answers] == [200, 200, 500] * 4
    assert {answer.json()["predictions"][0] for answer in answers if answer.status_code == 200} == {21.0}
