"""What is read back may be anything: pipes, links, depth and size, and what is let through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hostile.damage import deep_json, yaml_bomb
from tests.user_error import user_error
from tunebook.untrusted import LARGEST, MOST_NODES, check_folder, check_pages, check_yaml, read_json, read_object


def test_json_is_read_or_said_to_be_damaged(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"a": [1, "é"]}', encoding="utf-8")
    assert read_json(file) == read_object(file) == {"a": [1, "é"]}
    file.write_bytes(deep_json())
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(file)
    file.write_text("[1]")
    assert read_json(file) == [1]
    with pytest.raises(ValueError, match="not a JSON object"):
        read_object(file)
    with file.open("wb") as stream:
        stream.truncate(LARGEST + 1)  # a hole
    with pytest.raises(ValueError, match="larger than 8 MiB"):
        read_json(file)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match="a named pipe"):
        read_json(file)


def test_links_may_lead_about_in_a_folder_and_out_of_it_where_that_is_allowed(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    (run / "logs").mkdir(parents=True)
    outside.mkdir()
    (run / "logs" / "a").write_text("a")
    (run / "inside").symlink_to(run / "logs")
    (run / "relative").symlink_to("logs/a")
    (tmp_path / "by-another-name").symlink_to(run)
    check_folder(run, links=False)
    check_folder(tmp_path / "by-another-name", links=False)
    check_folder(tmp_path / "nothing", links=False)
    (run / "out").symlink_to(outside)
    check_folder(run)  # weights of a cache, say
    with user_error("file.link-outside", where=str(run / "out")):
        check_folder(run, links=False)
    (run / "out").unlink()
    os.mkfifo(run / "logs" / "pipe")
    with user_error("file.not-regular", where=str(run / "logs" / "pipe")):
        check_folder(run)


GOOD = {
    "an anchor that is used": "a: &a {x: [1, 2]}\nb: *a\nc: {<<: *a, y: 3}\n",
    "a long list": "a: [" + ", ".join(map(str, range(20_000))) + "]\n",
    "nested fifty times": "a: " + "[" * 50 + "]" * 50 + "\n",
    "a syntax error": "a: [1\n",  # said by who reads it, with its place
    "a hash as text": f"a: '{'9' * 64}'\n",
}
BAD = {
    "a bomb": yaml_bomb(),
    "too many values": "a: [" + ", ".join(["1"] * (MOST_NODES + 1)) + "]\n",
    "an alias of itself": "a: &a [1, *a]\n",
    "deep": "a: " + "[" * 150 + "]" * 150 + "\n",
    "deeper": "a: " + "[" * 5000 + "\n",
    "a number without end": "a: " + "9" * 5000 + "\n",
}


@pytest.mark.parametrize("case", GOOD)
def test_usual_pages_are_let_through(tmp_path: Path, case: str) -> None:
    (tmp_path / "page.yaml").write_text(GOOD[case])
    check_yaml(tmp_path / "page.yaml")
    check_pages(tmp_path)


@pytest.mark.parametrize("case", BAD)
def test_pages_without_end_are_refused(tmp_path: Path, case: str) -> None:
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "page.yaml").write_text(BAD[case])
    with user_error("config.too-large", where=str(tmp_path / "group" / "page.yaml")):
        check_pages(tmp_path)
