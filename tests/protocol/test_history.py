"""Handing back what two stores said: to those two, and no further than signatures reach."""

from __future__ import annotations

from dataclasses import replace

import samples_people as s
from halle_protocol.history import answers, is_whole, read_answer
from halle_protocol.message_bodies import MAX_INNER_BYTES, Deliverable
from halle_protocol.messages import ChatText, HistoryAnswer, Message

ORDER = bytes(32)


def chat(key: bytes, text: str, number: int, **changes: object) -> Message:
    return s.message(key, "chat", ChatText(text=text), number=number, **changes)


def outer(answer: HistoryAnswer, key: bytes = s.BUYER_KEY) -> Message:
    return s.message(key, "history/answer", answer, number=99)


def test_answer_gives_back_what_the_two_said_and_nothing_else() -> None:
    said = [chat(s.BUYER_KEY, "Hello", 1), chat(s.MERCHANT_KEY, "Good day", 2)]
    aside = chat(s.BUYER_KEY, "To the arbiter alone", 3, to=s.ARBITER)
    [answer] = answers(ORDER, [*said, aside], s.BUYER, s.MERCHANT)
    assert answer.total == 2
    found = read_answer(answer, outer(answer), s.MERCHANT)
    assert found == said
    assert is_whole(answer, found, s.MERCHANT, s.BUYER)
    assert not is_whole(answer, found[:1], s.MERCHANT, s.BUYER)


def test_forged_and_foreign_messages_of_an_answer_are_left_out() -> None:
    good = chat(s.MERCHANT_KEY, "I said so", 1)
    forged = replace(chat(s.MERCHANT_KEY, "I never said so", 2), body={"text": "Pay me twice"})
    foreign = chat(s.BUYER_KEY, "For somebody else", 3, to=s.ARBITER)
    data = [each.encode() for each in (good, forged, foreign)] + [b"\xa0", b"rubbish"]
    answer = HistoryAnswer(order_id=ORDER, total=len(data), messages=data)
    assert read_answer(answer, outer(answer), s.MERCHANT) == [good]


def test_operator_of_the_past_spoke_for_its_store_while_its_grant_was_good() -> None:
    grant = s.grant()
    made = {"sender": s.MERCHANT, "to": s.BUYER, "grant": grant}
    then = s.message(s.OPERATOR_KEY, "chat", ChatText(text="Then"), number=1, at=grant.not_after, **made)
    late = s.message(s.OPERATOR_KEY, "chat", ChatText(text="Late"), number=2, at=grant.not_after + 1, **made)
    [answer] = answers(ORDER, [then, late], s.BUYER, s.MERCHANT)
    assert read_answer(answer, outer(answer), s.MERCHANT) == [then]


def test_long_history_comes_in_parts_that_fit_into_a_message() -> None:
    said = [
        s.message(s.MERCHANT_KEY, "deliverable", Deliverable(name=f"file {n}", content=bytes(150 * 1024)), number=n)
        for n in range(4)
    ]
    parts = answers(ORDER, said, s.BUYER, s.MERCHANT)
    assert len(parts) == 4
    assert {part.total for part in parts} == {4}
    assert all(len(outer(part).encode()) <= MAX_INNER_BYTES + 4_096 for part in parts)
    assert [each for part in parts for each in read_answer(part, outer(part), s.MERCHANT)] == said


def test_order_that_is_unknown_is_answered_with_nothing() -> None:
    [answer] = answers(ORDER, [], s.BUYER, s.MERCHANT)
    assert (answer.total, answer.messages) == (0, ())
    assert is_whole(answer, [], s.MERCHANT, s.BUYER)
