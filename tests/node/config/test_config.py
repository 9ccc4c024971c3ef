"""Settings: one place, a clear order of precedence, wrong ones named."""

from __future__ import annotations

from pathlib import Path

import pytest

from halle_node.config import Config, describe, load, paths
from halle_protocol.errors import ConfigError


def test_load_takes_file_then_environment_then_command_line(tmp_path: Path) -> None:
    (tmp_path / "halle.toml").write_text('name = "File"\ncountry = "BE"\nshop_port = 1\nbootstrap = ["/ip4/1"]\n')
    environ = {"HALLE_NAME": "Environment", "HALLE_SHOP_PORT": "2", "HALLE_OTHER": "x"}
    config = load(tmp_path, {"shop_port": 3, "currency": None}, environ)
    assert (config.name, config.country, config.shop_port, config.currency) == ("Environment", "BE", 3, "EUR")
    assert config.bootstrap == ("/ip4/1",)
    assert config.home == tmp_path


def test_load_splits_lists_of_the_environment(tmp_path: Path) -> None:
    assert load(tmp_path, {}, {"HALLE_BOOTSTRAP": "/a, /b,"}).bootstrap == ("/a", "/b")


def test_load_takes_the_home_from_the_environment(tmp_path: Path) -> None:
    assert load(None, {}, {"HALLE_HOME": str(tmp_path)}).home == tmp_path


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("shop_port = 99999", "config-invalid"),
        ('nonsense = "x"', "setting-unknown"),
        ('password = "x"', "password-in-file"),
        ('kubo_auth = "bearer:x"', "password-in-file"),
        ("= =", "config-file-unreadable"),
        ("scrypt_n = 3", "config-invalid"),
    ],
)
def test_load_refuses_a_wrong_file(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "halle.toml").write_text(text)
    with pytest.raises(ConfigError) as failure:
        load(tmp_path, {}, {})
    assert failure.value.code == code


def test_load_never_repeats_a_wrong_password(tmp_path: Path) -> None:
    config = load(tmp_path, {}, {"HALLE_PASSWORD": "hunter2"})
    assert "hunter2" not in repr(config)
    assert config.read_password() == "hunter2"


def test_password_file_gives_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\nrest\n")
    assert load(tmp_path, {"password_file": tmp_path / "secret"}, {}).read_password() == "hunter2"
    with pytest.raises(ConfigError):
        load(tmp_path, {"password_file": tmp_path / "none"}, {}).read_password()


def test_chain_endpoints_are_one_or_several(tmp_path: Path) -> None:
    one, other = "https://one.example.org", "https://other.example.org"
    assert load(tmp_path, {}, {}).rpc_url == ()
    (tmp_path / "halle.toml").write_text(f'rpc_url = "{one}"\n')
    assert load(tmp_path, {}, {}).rpc_url == (one,)
    (tmp_path / "halle.toml").write_text(f'rpc_url = ["{one}", "{other}"]\n')
    assert load(tmp_path, {}, {}).rpc_url == (one, other)
    assert load(tmp_path, {}, {"HALLE_RPC_URL": f"{other}, {one}"}).rpc_url == (other, one)
    assert load(tmp_path, {"rpc_url": (other,)}, {}).rpc_url == (other,)


def test_every_setting_says_what_it_is() -> None:
    rows = describe()
    assert [row.name for row in rows] == list(Config.model_fields)
    for row in rows:
        assert row.help.endswith("."), row.name
        assert row.env == "HALLE_" + row.name.upper()


def test_paths_lie_in_the_home(tmp_path: Path) -> None:
    found = paths(load(tmp_path, {}, {}))
    assert all(path.is_relative_to(tmp_path) for path in found.values())
