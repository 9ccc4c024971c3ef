"""Figures of a running node for Prometheus, read when they are asked for.

Rule: no personal data and no label that grows with strangers: no store, peer, order or address, only counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from halle_node.process_use import process_use

if TYPE_CHECKING:
    from halle_node.node import Node

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_REASONS = 64
"""A peer cannot invent a reason, but a list of labels must end somewhere."""


def exposition(node: Node) -> bytes:
    """Return every metric in the text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(node))
    return generate_latest(registry)


class _Collector:
    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        yield from _network(self._node)
        yield from _messages(self._node)
        yield from _storage(self._node)
        yield from _process()


def _network(node: Node) -> Iterator[Metric]:
    stats = node.network.stats()
    yield GaugeMetricFamily("halle_network_up", "1 while the peer-to-peer network runs.", float(stats.running))
    yield GaugeMetricFamily("halle_peers", "Connected peers.", stats.peers)
    yield CounterMetricFamily("halle_network_restarts", "Restarts of the network.", stats.restarts)
    yield CounterMetricFamily("halle_network_received_bytes", "Bytes received from peers.", stats.wire_in)
    yield CounterMetricFamily("halle_network_sent_bytes", "Bytes sent to peers.", stats.wire_out)
    yield CounterMetricFamily("halle_heads_received", "Announcements accepted.", stats.heads_in)
    yield CounterMetricFamily("halle_reconciliations", "Reconciliations that succeeded.", stats.syncs)
    yield GaugeMetricFamily(
        "halle_last_reconciliation_seconds", "When the last one succeeded, unix time; 0 is never.", stats.last_sync
    )
    drops = CounterMetricFamily("halle_dropped", "What peers sent and was dropped, by reason.", labels=["reason"])
    for reason, count in sorted(stats.drops.items())[:MAX_REASONS]:
        drops.add_metric([reason], count)
    yield drops


def _messages(node: Node) -> Iterator[Metric]:
    outgoing, inbound, box = node.messages.outgoing_counts(), node.messages.inbound_counts(), node.mailbox.use()
    sent = GaugeMetricFamily("halle_messages_outgoing", "Messages of ours, by state.", labels=["state"])
    for state in ("queued", "acknowledged", "refused"):
        sent.add_metric([state], getattr(outgoing, state))
    yield sent
    yield GaugeMetricFamily("halle_messages_at_mailboxes", "Queued messages that wait at a mailbox.", outgoing.left)
    received = GaugeMetricFamily("halle_messages_received", "Messages received, by state.", labels=["state"])
    for state in ("processed", "parked", "quarantined", "poisoned"):
        received.add_metric([state], getattr(inbound, state))
    yield received
    yield GaugeMetricFamily("halle_mailbox_letters", "Envelopes kept for others.", box.letters)
    yield GaugeMetricFamily("halle_mailbox_bytes", "Bytes of envelopes kept for others.", box.bytes)
    yield GaugeMetricFamily("halle_mailbox_capacity_bytes", "Room for them.", box.quotas.total_bytes)


def _storage(node: Node) -> Iterator[Metric]:
    blocks, index = node.blocks.stats(), node.index.stats()
    yield GaugeMetricFamily("halle_blocks", "Blocks stored.", blocks.blocks)
    sizes = GaugeMetricFamily("halle_blocks_bytes", "Bytes of blocks, by whose they are.", labels=["kind"])
    foreign = blocks.foreign_documents + blocks.foreign_media
    for kind, size in (
        ("own", blocks.bytes - foreign),
        ("foreign_documents", blocks.foreign_documents),
        ("foreign_media", blocks.foreign_media),
    ):
        sizes.add_metric([kind], size)
    yield sizes
    yield GaugeMetricFamily("halle_blocks_capacity_bytes", "Cap of the block store; 0 is none.", blocks.cap)
    yield GaugeMetricFamily("halle_pins", "Pinned roots.", blocks.pins)
    yield GaugeMetricFamily("halle_index_stores", "Stores known.", index["stores"])
    yield GaugeMetricFamily("halle_index_listings", "Listings known.", index["listings"])
    yield GaugeMetricFamily("halle_index_waiting", "Stores waiting to be fetched.", index["waiting"])


def _process() -> Iterator[Metric]:
    used = process_use()
    yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory size in bytes.", used.resident_bytes)
    yield GaugeMetricFamily("process_open_fds", "Number of open file descriptors.", used.open_files)
    yield CounterMetricFamily("process_cpu_seconds", "CPU time in seconds.", used.cpu_s)
