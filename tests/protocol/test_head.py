from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from halle_protocol import dagcbor
from halle_protocol.cid import DAG_CBOR, DAG_PB, cid_of
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.grant import Grant
from halle_protocol.head import (
    MAX_FRAME_BYTES,
    Announcement,
    Head,
    announce,
    equivocation,
    newer,
    sign_head,
)
from samples_people import DAY, MERCHANT, MERCHANT_KEY, NOW, OPERATOR_KEY, STRANGER_KEY, grant

CATALOG, OTHER = cid_of(DAG_CBOR, b"\xa0"), cid_of(DAG_CBOR, b"\x80")
SITE = cid_of(DAG_PB, b"")


def _head(seq: int = 1, *, key: bytes = MERCHANT_KEY, by: Grant | None = None, **changes: Any) -> Head:
    fields: dict[str, Any] = {"catalog": CATALOG, "issued": NOW, "expires": NOW + DAY, "site": SITE}
    return sign_head(key, MERCHANT, seq, **(fields | {"grant": by.cid if by else None} | changes))


def test_head_reads_back_with_the_same_bytes_and_cid() -> None:
    made = _head()
    assert Head.decode(made.encode()) == made
    assert Head.decode(made.encode()).cid == made.cid


def test_announcement_by_an_operator_verifies_and_fits_a_frame() -> None:
    given = grant()
    frame = announce(_head(key=OPERATOR_KEY, by=given), given).encode()
    assert len(frame) <= MAX_FRAME_BYTES
    assert Announcement.decode(frame).verify(NOW).seq == 1


def test_announcement_by_the_store_needs_no_grant() -> None:
    assert Announcement.decode(announce(_head(site=None)).encode()).verify(NOW).site is None


def _code(frame: Announcement, now: int | None = NOW, **options: Any) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        Announcement.decode(frame.encode()).verify(now, **options)
    return caught.value.code


def test_announcement_is_refused_with_its_code() -> None:
    given, narrow = grant(), grant(scopes=["quote"])
    by_operator = announce(_head(key=OPERATOR_KEY, by=given), given)
    assert _code(announce(_head()), NOW + DAY + 1) == "head-expired"
    assert _code(announce(_head()), NOW - 601) == "head-from-future"
    assert _code(announce(_head(key=STRANGER_KEY))) == "not-authorised"
    assert _code(Announcement(_head(key=OPERATOR_KEY, by=given).encode())) == "head-grant-mismatch"
    assert _code(announce(_head(), given)) == "head-grant-mismatch"
    assert _code(announce(_head(key=OPERATOR_KEY, by=given), grant(sequence=2))) == "head-grant-mismatch"
    assert _code(announce(_head(key=OPERATOR_KEY, by=narrow), narrow)) == "grant-scope"
    assert _code(by_operator, min_sequence=2) == "grant-revoked"
    late = _head(key=OPERATOR_KEY, by=given, issued=NOW + 29 * DAY, expires=NOW + 40 * DAY)
    assert _code(announce(late, given), NOW + 31 * DAY) == "grant-expired"


@pytest.mark.parametrize("field", ["store", "seq", "catalog", "site", "issued", "expires", "grant"])
def test_head_is_refused_when_a_signed_field_changed(field: str) -> None:
    changed = {"store": bytes([9]) * 20, "catalog": OTHER, "site": None, "grant": OTHER}.get(field, NOW + 5)
    head = replace(_head(), **{field: changed})
    with pytest.raises(RemoteProtocolError) as caught:
        head.verify(None, NOW)
    assert caught.value.code in ("not-authorised", "bad-signature", "head-grant-mismatch")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "halle/head/2"},
        {"catalog": None},
        {"catalog": bytes(36)},
        {"site": "bafy"},
        {"seq": 0},
        {"seq": 2**63},
        {"store": bytes(21)},
        {"expires": NOW},
        {"expires": NOW + 91 * DAY},
        {"sig": b""},
        {"more": 1},
    ],
)
def test_head_is_refused_when_its_shape_is_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Head.decode(dagcbor.encode(dagcbor.decode(_head().encode()) | change))
    assert caught.value.code == "head-shape"


def test_announcement_is_refused_when_too_large_or_misshapen() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Announcement.decode(bytes(MAX_FRAME_BYTES + 1))
    assert caught.value.code == "announcement-too-large"
    with pytest.raises(RemoteProtocolError) as caught:
        Announcement.decode(dagcbor.encode({"head": _head().encode(), "grant": 1}))
    assert caught.value.code == "announcement-shape"
    with pytest.raises(LocalProtocolError) as local:
        Announcement(bytes(2048)).encode()
    assert local.value.code == "announcement-too-large"


def test_higher_seq_replaces_and_lower_or_equal_does_not() -> None:
    known = _head(5)
    assert newer(known, None)
    assert [newer(_head(seq), known) for seq in (4, 5, 6)] == [False, False, True]
    assert not newer(replace(_head(6), store=bytes(20)), known)


def test_equal_seq_with_another_catalog_is_equivocation() -> None:
    a, b = _head(5), _head(5, catalog=OTHER)
    assert equivocation(a, b)
    assert not equivocation(a, _head(5))
    assert not equivocation(a, _head(6, catalog=OTHER))


def test_equal_content_under_another_signature_is_no_equivocation() -> None:
    assert not equivocation(_head(5), _head(5, key=OPERATOR_KEY))


def test_signing_refuses_a_head_that_lives_too_long() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        _head(expires=NOW + 91 * DAY)
    assert caught.value.code == "head-shape"
