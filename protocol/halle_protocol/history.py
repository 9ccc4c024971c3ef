"""What two stores said in an order, handed back to the one that lost it.

Rule: a store tells another only what the two said to each other, and believes nothing of an answer but signatures.
Spec: docs/spec/08-messages.md §6
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from halle_protocol.errors import RemoteProtocolError
from halle_protocol.message_bodies import MAX_INNER_BYTES, HistoryAnswer
from halle_protocol.messages import Message

HISTORY = "history/"


def is_between(message: Message, one: bytes, other: bytes) -> bool:
    """Say whether a message went from one of two stores to the other, and is part of an order's record."""
    return {message.sender, message.to} == {one, other} and not message.type.startswith(HISTORY)


def answers(order_id: bytes, said: Iterable[Message], me: bytes, asker: bytes) -> list[HistoryAnswer]:
    """Return what the two said in an order, in parts that fit into a message each; at least one, perhaps empty."""
    encoded = (message.encode() for message in said if is_between(message, me, asker))
    found = [data for data in encoded if len(data) <= MAX_INNER_BYTES]
    parts: list[list[bytes]] = [[]]
    room = MAX_INNER_BYTES
    for data in found:
        if len(data) > room and parts[-1]:
            parts.append([])
            room = MAX_INNER_BYTES
        parts[-1].append(data)
        room -= len(data) + 8
    return [HistoryAnswer(order_id=order_id, total=len(found), messages=part) for part in parts]


def read_answer(answer: HistoryAnswer, outer: Message, me: bytes) -> list[Message]:
    """Return the messages of an answer that are signed by one of the two for the other, oldest first.

    A grant is judged at the time the message was issued: an operator that was replaced since spoke for its store then.
    The grant of a contract account counts only when it is that of the outer message, which was confirmed on arrival.
    """
    found = []
    for data in answer.messages:
        try:
            message = Message.decode(data)
            if message.grant is not None and outer.grant == message.grant:
                message = message.confirm_grant()
            message.verify(now=message.issued)
        except RemoteProtocolError:
            continue
        if is_between(message, me, outer.sender):
            found.append(message)
    return sorted(found, key=lambda each: (each.issued, each.type != "order/request"))


def is_whole(answer: HistoryAnswer, known: Sequence[Message], me: bytes, other: bytes) -> bool:
    """Say whether as many messages of the two are known as the answer counts."""
    return sum(is_between(message, me, other) for message in known) >= answer.total
