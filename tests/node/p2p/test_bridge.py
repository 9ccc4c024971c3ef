"""The bridge carries calls, errors, cancellation and the end of the network thread between the two loops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from halle_node.p2p.bridge import Bridge, P2PStopped
from halle_protocol.errors import Unavailable


async def idle(bridge: Bridge) -> None:
    bridge.started()
    await trio.sleep_forever()


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    bridge = Bridge(idle, max_asks=4)
    await bridge.start()
    yield bridge
    assert await bridge.stop(3)


async def test_call_runs_in_the_network_thread(bridge: Bridge) -> None:
    async def where() -> str:
        await trio.lowlevel.checkpoint()
        return threading.current_thread().name

    assert await bridge.call(where) == "halle-p2p"


async def test_call_carries_the_error_over(bridge: Bridge) -> None:
    async def fail() -> None:
        raise Unavailable("peer is away", code="peer-unreachable")

    with pytest.raises(Unavailable) as failure:
        await bridge.call(fail)
    assert failure.value.code == "peer-unreachable"


async def test_cancelled_call_is_cancelled_on_the_other_side(bridge: Bridge) -> None:
    entered, cancelled = threading.Event(), threading.Event()

    async def wait() -> None:
        entered.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    task = asyncio.create_task(bridge.call(wait))
    assert await asyncio.to_thread(entered.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(cancelled.wait, 5)


async def test_ask_runs_on_the_asyncio_loop_and_returns(bridge: Bridge) -> None:
    async def double(value: int) -> int:
        await asyncio.sleep(0)
        return value * 2

    def plain(value: int) -> str:
        return threading.current_thread().name + str(value)

    assert await bridge.call(bridge.ask, double, 21) == 42
    assert await bridge.call(bridge.ask, plain, 1) == threading.main_thread().name + "1"


async def test_ask_carries_the_error_over(bridge: Bridge) -> None:
    async def fail() -> None:
        raise Unavailable("disk", code="disk-full")

    async def probe() -> str:
        try:
            await bridge.ask(fail)
        except Unavailable as exc:
            return exc.code
        return "nothing"

    assert await bridge.call(probe) == "disk-full"


async def test_cancelled_ask_is_cancelled_on_the_other_side(bridge: Bridge) -> None:
    cancelled = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def give_up() -> bool:
        with trio.move_on_after(0.05) as scope:
            await bridge.ask(wait)
        return scope.cancelled_caught

    assert await bridge.call(give_up)
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_asks_in_flight_are_bounded(bridge: Bridge) -> None:
    gate, running, most = asyncio.Event(), 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    async def flood() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(bridge.ask, work)

    task = asyncio.create_task(bridge.call(flood))
    while running < 4:
        await asyncio.sleep(0)
    gate.set()
    await task
    assert most == 4


async def test_pending_calls_fail_when_the_thread_dies() -> None:
    async def dies(bridge: Bridge) -> None:
        async with trio.open_nursery() as nursery:
            bridge.doomed = nursery  # type: ignore[attr-defined]
            bridge.started()
            await trio.sleep_forever()

    async def explode(nursery: trio.Nursery) -> None:
        async def boom() -> None:
            raise ValueError("a defect of the library")

        nursery.start_soon(boom)

    bridge: Any = Bridge(dies)
    await bridge.start()
    waiting = asyncio.create_task(bridge.call(trio.sleep_forever))
    await bridge.call(explode, bridge.doomed)
    with pytest.raises(P2PStopped) as failure:
        await waiting
    assert failure.value.code == "p2p-stopped"
    await asyncio.wait_for(bridge.closed, 5)
    assert bridge.error is not None
    with pytest.raises(P2PStopped):
        await bridge.call(trio.sleep, 0)


async def test_start_fails_with_what_ended_the_thread() -> None:
    async def fails(bridge: Bridge) -> None:
        raise OSError("no such address")

    bridge = Bridge(fails)
    with pytest.raises(P2PStopped) as failure:
        await bridge.start()
    assert "no such address" in repr(getattr(failure.value.__cause__, "exceptions", failure.value.__cause__))


async def test_stop_is_quick_and_leaves_no_task(bridge: Bridge) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    asking = asyncio.create_task(bridge.call(bridge.ask, forever))
    while not bridge._tasks:
        await asyncio.sleep(0)
    began = time.monotonic()
    assert await bridge.stop(3)
    assert time.monotonic() - began < 1
    with pytest.raises(P2PStopped):
        await asking
    assert not bridge._tasks


async def test_stop_works_before_the_thread_is_up() -> None:
    bridge = Bridge(idle)
    starting = asyncio.create_task(bridge.start())
    await asyncio.sleep(0)
    assert await bridge.stop(3)
    await asyncio.wait([starting])
    assert starting.exception() is None or isinstance(starting.exception(), P2PStopped)


async def test_two_thousand_cancelled_calls_leave_nothing_behind(bridge: Bridge) -> None:
    tasks = [asyncio.create_task(bridge.call(trio.sleep_forever)) for _ in range(2000)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert not bridge._pending

    async def tasks_left() -> int:
        with trio.move_on_after(5):
            while len(bridge._nursery.child_tasks) > 1:
                await trio.sleep(0.001)
        return len(bridge._nursery.child_tasks)

    assert await bridge.call(tasks_left) == 1
