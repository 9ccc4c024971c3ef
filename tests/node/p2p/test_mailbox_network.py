"""/halle/mailbox/1 between real processes: what was left survives a power cut and goes to its recipient alone."""

from __future__ import annotations

from hashlib import sha256

import pytest

from halle_protocol.keys import address_of
from halle_protocol.mailbox import Acknowledgement
from halle_protocol.sealing import Envelope

from .conftest import FarError, Peer, Peers

KEY = bytes([7]) * 32
STORE = address_of(KEY)
STRANGER = bytes([8]) * 32


def envelope(number: int, size: int = 4_000, to: bytes = STORE) -> bytes:
    return Envelope(to, "0123456789abcdef", bytes([number]) * size).encode()


async def test_letter_survives_kill_9_and_goes_to_its_recipient_alone(peers: Peers) -> None:
    sender, keeper, recipient = (
        await peers.start("sender"),
        await peers.start("keeper", mailbox={}),
        await peers.start("recipient"),
    )
    mail, box = envelope(1), keeper.addrs[0]
    await sender.call("leave", mailbox=box, envelope=mail.hex())
    await keeper.kill9()
    keeper = await peers.start("keeper", mailbox={}, again=True)
    box = keeper.addrs[0]
    digest = sha256(mail).hexdigest()
    assert await sender.call("look", mailbox=box, digest=digest) == ""
    with pytest.raises(FarError):
        await recipient.call("collect", mailbox=box, key=STRANGER.hex(), store=STORE.hex())
    assert await recipient.call("collect", mailbox=box, key=KEY.hex(), store=STORE.hex()) == [1, False, [mail.hex()]]
    assert await recipient.call("collect", mailbox=box, key=KEY.hex(), store=STORE.hex()) == [0, False, []]
    word = Acknowledgement.decode(bytes.fromhex(await sender.call("look", mailbox=box, digest=digest)))
    word.verify(store=STORE, envelope=sha256(mail).digest(), now=0)
    with pytest.raises(FarError) as unknown:
        await sender.call("look", mailbox=box, digest=bytes(32).hex())
    assert (unknown.value.code, unknown.value.kind) == ("letter-unknown", "Refused")


async def fill(sender: Peer, box: str, numbers: range) -> tuple[int, str]:
    """Leave one envelope after the other until one is refused; return how many fitted and the code."""
    for kept, number in enumerate(numbers):
        try:
            await sender.call("leave", mailbox=box, envelope=envelope(number).hex())
        except FarError as error:
            return kept, f"{error.kind} {error.code}"
    raise AssertionError("there is no limit")


async def test_quotas_hold_over_the_wire_and_mail_comes_in_rounds(peers: Peers) -> None:
    keeper = await peers.start("keeper", mailbox={"sender_bytes": 40 * 6_000, "store_bytes": 41 * 6_000})
    first, second, recipient = await peers.start_many("first", "second", "recipient")
    box = keeper.addrs[0]
    kept, code = await fill(first, box, range(100))
    assert code == "Unavailable quota-sender"
    more, code = await fill(second, box, range(100, 200))
    assert code == "Unavailable quota-recipient"
    kept += more
    with pytest.raises(FarError) as elsewhere:
        await second.call("leave", mailbox=box, envelope=envelope(0, to=bytes(20)).hex())
    assert elsewhere.value.code == "mailbox-not-served"
    signed, more, _ = await recipient.call("collect", mailbox=box, key=KEY.hex(), store=STORE.hex())
    assert (signed, more) == (32, True)
    signed, more, _ = await recipient.call("collect", mailbox=box, key=KEY.hex(), store=STORE.hex())
    assert (signed, more) == (kept - 32, False)
    await first.call("leave", mailbox=box, envelope=envelope(0, size=4_001).hex())  # collected mail makes room


async def test_peer_that_is_no_mailbox_says_so(peers: Peers) -> None:
    first, second = await peers.start_many("first", "second")
    with pytest.raises(FarError) as caught:
        await first.call("leave", mailbox=second.addrs[0], envelope=envelope(1).hex())
    assert caught.value.kind == "Unavailable"
    with pytest.raises(FarError) as own:
        await first.call("leave", mailbox=first.addrs[0], envelope=envelope(1).hex())
    assert own.value.code == "mailbox-not-served"
