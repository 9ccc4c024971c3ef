"""A connection through a relay: the wire of circuit relay v2 and the stream that carries Noise and Yamux.

py-libp2p 0.8.1 brings the protobufs; its own relay is not used (docs/network.md).
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from libp2p.abc import ConnectionType, IRawConnection
from libp2p.network.connection.exceptions import RawConnError
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, StopMessage
from multiaddr import Multiaddr

from halle_node.p2p.framing import Frames, reset_quietly
from halle_protocol.errors import RemoteProtocolError

HOP = "/libp2p/circuit/relay/0.2.0/hop"
STOP = "/libp2p/circuit/relay/0.2.0/stop"
MAX_MESSAGE_BYTES = 4096

OK = 100
RESERVATION_REFUSED = 200
RESOURCE_LIMIT_EXCEEDED = 201
PERMISSION_DENIED = 202
CONNECTION_FAILED = 203
NO_RESERVATION = 204
MALFORMED_MESSAGE = 400
UNEXPECTED_MESSAGE = 401


class Circuit(IRawConnection):  # type: ignore[misc]
    """`addr` is the circuit address of the far side; `early` what it said right behind the relay's own words."""

    def __init__(self, stream: Any, *, initiator: bool, addr: str) -> None:
        self._stream = stream
        self._addr = Multiaddr(addr)
        self.early = b""
        self.is_initiator = initiator

    async def read(self, n: int | None = None) -> bytes:
        """Return some bytes, none at the end. Raises: RawConnError."""
        if self.early:
            size = len(self.early) if n is None else n
            piece, self.early = self.early[:size], self.early[size:]
            return piece
        try:
            data: bytes = await self._stream.read(n)
        except EOFError:
            return b""
        except Exception as exc:  # libp2p raises a dozen kinds for one fact: the stream is dead
            raise RawConnError(f"the circuit broke: {exc}") from exc
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes. Raises: RawConnError."""
        try:
            await self._stream.write(data)
        except Exception as exc:  # as in read
            raise RawConnError(f"the circuit broke: {exc}") from exc

    async def close(self) -> None:
        """End both directions: half a connection is of no use."""
        await reset_quietly(self._stream)

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return None: who is behind a relay has no address here."""
        return None

    def get_transport_addresses(self) -> list[Multiaddr]:
        """Return the circuit address."""
        return [self._addr]

    def get_connection_type(self) -> Any:
        """Return that it is relayed."""
        return ConnectionType.RELAYED


def is_relayed(stream: Any) -> bool:
    """Tell whether a stream runs over a relay."""
    return bool(stream.muxed_conn.get_connection_type() is ConnectionType.RELAYED)


def hop_status(status: Any, **fields: Any) -> bytes:
    """Encode a relay's answer to whoever reserves or calls."""
    data: bytes = HopMessage(type=HopMessage.STATUS, status=status, **fields).SerializeToString()
    return data


def stop_status(status: Any) -> bytes:
    """Encode the answer of whoever is called."""
    data: bytes = StopMessage(type=StopMessage.STATUS, status=status).SerializeToString()
    return data


async def read_hop(frames: Frames) -> Any:
    """Return the next message of a hop stream. Raises: RemoteProtocolError "relay-malformed", Unavailable."""
    return _parsed(HopMessage(), await frames.read(MAX_MESSAGE_BYTES))


async def read_stop(frames: Frames) -> Any:
    """Return the next message of a stop stream. Raises: RemoteProtocolError "relay-malformed", Unavailable."""
    return _parsed(StopMessage(), await frames.read(MAX_MESSAGE_BYTES))


def _parsed(message: Any, frame: bytes) -> Any:
    try:
        message.ParseFromString(frame)
    except DecodeError as exc:
        raise RemoteProtocolError("A message about relaying cannot be read.", code="relay-malformed") from exc
    return message
