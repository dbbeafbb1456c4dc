"""Mistakes in what is chosen of groups, and in the folder that holds one's own."""

from __future__ import annotations

from pathlib import Path

from tests.light import said_lightly


def test_a_config_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    for typed in (["--config-dir", "setting"], ["--config-dir=setting"]):
        said = said_lightly(tmp_path, "train", "recipe=review_sentiment", *typed)
        assert f"no config folder {tmp_path / 'setting'}" in said and "where: --config-dir\n" in said
        assert f"did you mean {tmp_path / 'settings'}?" in said
    assert [p.name for p in tmp_path.iterdir()] == ["settings"]


def test_an_experiment_without_its_plus_is_told_with_it(tmp_path: Path) -> None:
    (tmp_path / "settings" / "experiment").mkdir(parents=True)
    (tmp_path / "settings" / "experiment" / "careful.yaml").write_text("# @package _global_\nseed: 1\n")
    given = ["check", "recipe=review_sentiment", "--config-dir", "settings"]
    assert "fix:   write +experiment=careful\n" in said_lightly(tmp_path, *given, "experiment=careful")
    assert "did you mean +experiment=careful?" in said_lightly(tmp_path, *given, "+experiment=carefull")
