"""Every value of the node as JSON, by one rule a type; nothing here knows what an order is.

CIDs are their text, other bytes 0x… hexadecimal, addresses too; frozen records become objects by field name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from halle_protocol.cid import CID


def to_json(value: Any) -> Any:
    """Return what `json.dumps` takes. Raises: TypeError for a type without a rule."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, CID):
        return str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Enum):
        return to_json(value.value)
    if isinstance(value, BaseModel):
        return {name: to_json(getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {_key(name): to_json(item) for name, item in value.items()}
    if isinstance(value, Sequence | Set):
        return [to_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _key(name: Any) -> str:
    made = to_json(name)
    return made if isinstance(made, str) else str(made)
