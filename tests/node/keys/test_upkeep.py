"""A node tends its keys without being asked: new prekeys weekly, old ones destroyed for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from halle_node.config import Config
from halle_node.home import create_home
from halle_node.node import Node
from halle_protocol.errors import Refused

DAY_S = 86_400


async def test_old_prekeys_are_destroyed_by_the_node_itself(tmp_path: Path) -> None:
    config = Config(home=tmp_path / "home", name="Camille", scrypt_n=2)
    create_home(config)
    start = {"now": 0}
    async with Node(config, online=False, clock=lambda: start["now"]) as node:
        start["now"] = first_day = node.keys.grant.sequence
        [first] = node.keys.prekeys(first_day)
        files = set((config.home / "keys" / "prekeys").glob("*.json"))
        for day in range(43):
            start["now"] = first_day + day * DAY_S
            await node.tend_keys()
            if day <= 6 * 7:
                assert node.keys.prekey_private(first.id)
        start["now"] = first_day + 6 * 7 * DAY_S + 1
        await node.tend_keys()
        with pytest.raises(Refused) as raised:
            node.keys.prekey_private(first.id)
        assert raised.value.code == "prekey-unknown"
        left = set((config.home / "keys" / "prekeys").glob("*.json"))
        assert not files & left
        assert len(left) == 6
        assert len(node.keys.prekeys(start["now"])) <= 4
        published = node.catalog.current_head()
        assert published is not None
