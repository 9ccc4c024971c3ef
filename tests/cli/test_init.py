"""`halle init` and what it leaves behind."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from cli.conftest import Answer, Halle
from halle_node.config import load


def test_init_answers_in_json_with_the_phrase(bare: Halle, tmp_path: Path) -> None:
    made = bare("--home", tmp_path / "h", "init", "--no-password", "--json")
    assert made.status == 0
    assert set(made.json) == {"home", "store", "operator", "peer", "grant until", "phrase"}
    assert len(made.json["phrase"].split()) == 12
    assert made.json["home"] == str(tmp_path / "h")


def test_init_shows_the_words_and_the_next_step(bare: Halle, tmp_path: Path) -> None:
    made = bare("--home", tmp_path / "h", "init", "--no-password")
    assert "Write these words down" in made.out
    assert "halle up" in made.err
    assert "\x1b[" not in made.out


def test_init_keeps_the_keys_to_their_owner(home: Path) -> None:
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "keys").iterdir() if path.is_file()} == {0o600}


def test_restore_makes_the_same_store_from_its_phrase(bare: Halle, tmp_path: Path) -> None:
    made = bare("--home", tmp_path / "a", "init", "--no-password", "--json").json
    words = tmp_path / "words"
    words.write_text(f"  {made['phrase'].upper()}\n\n")
    again = bare("--home", tmp_path / "b", "restore", "--no-password", "--json", "--phrase-file", words).json
    assert again["store"] == made["store"]
    assert again["operator"] != made["operator"]
    assert again["phrase"] == ""


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"one two three", 3, "phrase-invalid"),
        (b" ".join([b"abandon"] * 12), 3, "phrase-invalid"),
        (b"", 3, "phrase-invalid"),
        (b"\xff\xfe\x00", 2, "file-unreadable"),
    ],
    ids=["few words", "bad checksum", "empty", "no text"],
)
def test_restore_refuses_what_is_no_phrase_and_makes_no_store(
    bare: Halle, tmp_path: Path, content: bytes, status: int, code: str
) -> None:
    words = tmp_path / "words"
    words.write_bytes(content)
    made = bare("--home", tmp_path / "h", "restore", "--no-password", "--phrase-file", words)
    assert (made.status, made.code) == (status, code)
    assert bare("--home", tmp_path / "h", "product", "list").code == "home-missing"
    assert bare("--home", tmp_path / "h", "init", "--no-password").status == 0


def test_backup_and_restore_answer_in_json_and_say_what_is_wrong(bare: Halle, tmp_path: Path) -> None:
    made = bare("--home", tmp_path / "a", "init", "--no-password", "--json").json
    words, file = tmp_path / "words", tmp_path / "shop.halle"
    words.write_text(made["phrase"])
    assert bare("--home", tmp_path / "a", "backup", "--json").json is None
    assert "No back-up was ever made" in bare("--home", tmp_path / "a", "backup").err
    kept = bare("--home", tmp_path / "a", "backup", file, "--json").json
    assert (kept["path"], kept["bytes"]) == (str(file), file.stat().st_size)
    assert bare("--home", tmp_path / "a", "backup", words).code == "file-exists"
    back = ("restore", file, "--no-password", "--json", "--phrase-file", words)
    again = bare("--home", tmp_path / "b", *back).json
    assert (again["store"], again["operator"], again["peer"]) == (made["store"], made["operator"], made["peer"])
    assert bare("--home", tmp_path / "b", *back).code == "keys-exist"
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "letter").write_text("Dear Noé")
    assert bare("--home", tmp_path / "c", *back).code == "folder-not-empty"
    assert bare("--home", tmp_path / "d", "restore", words, *back[2:]).code == "not-a-backup"
    assert bare("--home", tmp_path / "d", "restore", file, "--no-password").code == "phrase-missing"
    assert not (tmp_path / "d").exists()
    assert bare("--home", tmp_path / "a", "customer", "erase", "Nobody", "--apply").code == "customer-unknown"


def test_init_leaves_an_existing_home_alone(halle: Halle, home: Path) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    made = halle("init", "--no-password", "--name", "Another")
    assert (made.status, made.code) == (3, "keys-exist")
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_init_takes_up_a_home_whose_making_was_cut_short(bare: Halle, tmp_path: Path, home: Path) -> None:
    (home / "keys" / "store.json").unlink()  # the last file that init writes
    assert bare("--home", home, "up").code == "home-missing"
    assert bare("--home", home, "init", "--no-password", "--name", "Again").status == 0
    assert bare("--home", home, "product", "list").status == 0


def test_init_says_so_when_the_folder_cannot_be_made(bare: Halle, read_only: Path) -> None:
    made = bare("--home", read_only, "init", "--no-password")
    assert (made.status, made.code) == (4, "home-unwritable")
    assert "--home" in made.err


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('L\'atelier "du coin"', 'L\'atelier "du coin"'),
        ("back\\slash = [x] # no comment", "back\\slash = [x] # no comment"),
        ("Épicerie 🥐 東京", "Épicerie 🥐 東京"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("bell\x07and\x7fdelete", "bellanddelete"),
    ],
    ids=["quotes", "toml", "emoji", "newline", "control"],
)
def test_init_keeps_the_name_through_the_settings_file(bare: Halle, tmp_path: Path, given: str, kept: str) -> None:
    home = tmp_path / "h"
    assert bare("--home", home, "init", "--no-password", "--name", given).status == 0
    assert tomllib.loads((home / "halle.toml").read_text(encoding="utf-8"))["name"] == kept
    assert load(home, environ={}).name == kept
    assert bare("--home", home, "product", "publish").status == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [("--country", "France"), ("--currency", "euro"), ("--language", "!"), ("--name", "x" * 121)],
)
def test_init_names_the_setting_that_is_wrong(bare: Halle, tmp_path: Path, option: str, value: str) -> None:
    made = bare("--home", tmp_path / "h", "init", "--no-password", option, value)
    assert (made.status, made.code) == (2, "config-invalid")
    assert option.removeprefix("--") in made.err
    assert not (tmp_path / "h").exists()


def test_init_takes_the_password_from_a_file(bare: Halle, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    env = {"HALLE_PASSWORD_FILE": str(password)}
    assert bare("--home", tmp_path / "h", "init", env=env).status == 0

    def keys_check(**given: str) -> str:
        answer: Answer = bare("--home", tmp_path / "h", "doctor", "--json", env=given)
        return str(next(check["message"] for check in answer.json if check["name"] == "keys"))

    assert "is locked" in keys_check()


def test_init_says_so_when_the_password_file_cannot_be_read(bare: Halle, tmp_path: Path) -> None:
    made = bare("--home", tmp_path / "h", "init", env={"HALLE_PASSWORD_FILE": str(tmp_path / "absent")})
    assert (made.status, made.code) == (2, "password-file-unreadable")
    assert not (tmp_path / "h").exists()
