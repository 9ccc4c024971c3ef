"""Each repair is needed (the stock library is harmed) and enough (the repaired one is not)."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path

import pytest
from libp2p.crypto import ed25519, x25519

from halle_node.p2p import hardening

SCRIPT = Path(__file__).with_name("defects_process.py")
DEFECTS = (
    "handler_exception",
    "gossip_garbage",
    "raising_validator",
    "inbound_slots",
    "cancelled_write",
    "sequence_numbers",
    "sockets_left_open",
    "moved_peer",
    "plaintext_offered",
)


async def outcome(defect: str, library: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        defect,
        library,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    return next(iter(out.decode().split()), "silent")


@pytest.mark.parametrize("defect", DEFECTS)
async def test_repair_is_needed_and_enough(defect: str) -> None:
    stock, repaired = await asyncio.gather(outcome(defect, "stock"), outcome(defect, "repaired"))
    assert (stock, repaired) == ("harmed", "fine")


def test_queues_are_large_enough_for_bursts() -> None:
    from libp2p.pubsub import pubsub
    from libp2p.pubsub.rpc_queue import RpcQueue

    hardening.enlarge_queues()
    assert pubsub.SUBSCRIPTION_CHANNEL_SIZE == 4096
    assert RpcQueue()._queue.max_size == 4096


def test_sequence_counter_starts_at_the_time_in_nanoseconds() -> None:
    class Counter:
        counter = 0

    counter = Counter()
    hardening.unique_sequence_numbers(counter)
    assert abs(counter.counter - time.time_ns()) < 10**10


def test_connections_are_watched_and_never_dialled_by_the_library() -> None:
    settings = hardening.connection_settings(200, 10.0)
    assert (settings.min_connections, settings.low_watermark, settings.max_connections) == (0, 0, 200)
    assert settings.enable_health_monitoring
    assert settings.abort_connection_on_ping_failure


def test_only_noise_and_yamux_are_offered() -> None:
    key_pair = ed25519.create_new_key_pair()
    noise_private = x25519.create_new_key_pair().private_key
    assert [str(name) for name in hardening.noise_only(key_pair, noise_private)] == ["/noise"]
    assert [str(name) for name in hardening.yamux_only()] == ["/yamux/1.0.0"]


def test_library_errors_are_demoted(caplog: pytest.LogCaptureFixture) -> None:
    hardening.demote_library_logs()
    with caplog.at_level(logging.DEBUG, "halle_node.p2p"):
        logging.getLogger("libp2p.pubsub").error("a peer did something")
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(logging.INFO, "libp2p: a peer did something")]
