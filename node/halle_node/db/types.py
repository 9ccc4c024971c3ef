"""Column types for values SQLite cannot hold by itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from halle_protocol.errors import LocalProtocolError

UINT256_MAX = 2**256 - 1
UINT256_DIGITS = 78


class TokenAmount(TypeDecorator[int]):
    """Keep a uint256 as decimal text: SQLite's integers end at 2⁶³, and 10 tokens of 18 decimals do not fit.

    Zero-padded to a fixed width, so that comparing and sorting in SQL agree with the numbers.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not 0 <= value <= UINT256_MAX:
            raise LocalProtocolError(f"{value} is not a token amount.", code="amount-range", value=value)
        return f"{value:0{UINT256_DIGITS}d}"

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)
