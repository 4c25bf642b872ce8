"""The parser's bench: that it counts as it says, and that the rules clear the aim where real briefs are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.parser import DEFAULT_PATH, Counts, count, main, mapped, measure


def _write(path: Path, *rows: tuple[str, str, list[str]]) -> Path:
    lines = [
        json.dumps({"title": title, "description": text, "skills": skills}) for title, text, skills in rows
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_micro_counts_add_up_over_briefs() -> None:
    counts = count([{"a", "b"}, {"c"}], [{"a", "x"}, {"c", "y"}])
    assert counts == Counts(hits=2, false=2, missed=1)
    assert counts.precision == 0.5
    assert counts.recall == pytest.approx(2 / 3)
    assert counts.f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert Counts(0, 0, 0).f1 == 0


def test_labels_of_one_skill_are_one_and_unknown_labels_are_misses(tmp_path: Path) -> None:
    assert mapped("Logo") == mapped("logo designer") == "logo-design"
    assert mapped("Falconry") == "unknown:falconry"
    path = _write(tmp_path / "briefs.jsonl", ("Stata", "", ["Stata", "STATA", "Falconry"]))
    score = measure(path)
    assert (score.rules.hits, score.rules.missed) == (1, 1)
    assert score.unknown_labels == 0.5


def test_the_baselines_are_what_they_say(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "briefs.jsonl",
        ("A logo", "and a flyer", ["Logo", "Photoshop"]),
        ("Photoshop", "", ["Photoshop"]),
    )
    score = measure(path)
    assert score.phrase == Counts(hits=2, false=0, missed=1)
    assert score.commonest == Counts(hits=3, false=1, missed=0)


def test_a_missing_file_is_said_and_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.jsonl")]) == 0
    assert "nothing measured" in capsys.readouterr().out


@pytest.mark.skipif(not DEFAULT_PATH.is_file(), reason="the real briefs are not part of the project")
def test_the_rules_beat_the_aim_and_both_baselines() -> None:
    score = measure(DEFAULT_PATH)
    baselines = (score.phrase, score.phrase_mapped, score.commonest, score.commonest_mapped)
    assert score.rules.f1 > 0.40
    assert score.rules.f1 > max(baseline.f1 for baseline in baselines)
