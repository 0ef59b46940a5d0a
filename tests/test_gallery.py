# SPDX-License-Identifier: Apache-2.0
"""docs/gallery holds a result of every recipe, and its pages are those that the command writes."""

from __future__ import annotations

import importlib
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docs import gallery_pages, make_gallery, thumbnails
from PIL import Image

from gradsmith.recipes import sources
from gradsmith.recipes.catalogue import RECIPES, Entry, find
from gradsmith.recipes.run import Figure, Run, Settings

GALLERY = Path(__file__).resolve().parent.parent / "docs" / "gallery"
RESULTS = json.loads((GALLERY / "results.json").read_text())


def test_every_recipe_has_a_result() -> None:
    assert list(RESULTS) == [entry.name for entry in RECIPES]


@pytest.mark.parametrize("name", RESULTS)
def test_result_is_whole(name: str) -> None:
    result = RESULTS[name]
    figures = [
        Figure(**{k: f[k] for k in ("name", "value", "low", "high")}) for f in result["figures"]
    ]
    assert any(figure.expected for figure in figures)
    assert [figure.reached for figure in figures] == [each["reached"] for each in result["figures"]]
    assert result["reached"] == all(figure.reached for figure in figures)
    assert not any(math.isnan(figure.value) for figure in figures)
    assert result["seconds"] > 0
    assert result["seed"] == 0
    assert int(result["machine"]["threads"]) >= 1
    assert re.fullmatch(r"[0-9a-f]{16}", result["source"])
    assert 1 <= len(result["pictures"]) <= 2


def test_pages_are_written_by_the_command() -> None:
    pages = gallery_pages.pages(RESULTS)
    assert {path.name for path in GALLERY.glob("*.md")} == set(pages)
    for name, text in pages.items():
        assert (GALLERY / name).read_text() == text, f"{name} is not as make gallery writes it"


def test_what_was_missed_is_said() -> None:
    page = (GALLERY / "results.md").read_text()
    missed = gallery_pages.missed(RESULTS)
    assert ("Every expected figure was reached." in page) == (not missed)
    assert page.count("**missed**") == len(missed)


def test_pictures_are_small_and_all_shown() -> None:
    shown = {each["file"] for result in RESULTS.values() for each in result["pictures"]}
    paths = list((GALLERY / "pictures").iterdir())
    assert {path.name for path in paths} == shown
    assert max(path.stat().st_size for path in paths) <= 40_000
    assert sum(path.stat().st_size for path in GALLERY.rglob("*.*")) <= 6_000_000


@pytest.mark.parametrize("entry", RECIPES, ids=lambda entry: entry.name)
def test_recipe_explains_itself(entry: Entry) -> None:
    module = importlib.import_module(f"gradsmith.recipes.{entry.module}")
    text = " ".join((module.__doc__ or "").split())
    spans = re.findall(r"``(.+?)``", text)
    prose = re.sub(r"``.+?``|et al\.|eq\.", "", text)
    assert len(re.findall(r"[.?!:;](?= |\)|$)", prose)) >= 3, "the idea takes three sentences"
    assert any(re.search(r"[=*/^+<>~(|]", span) for span in spans), "no formula in ``...``"
    assert re.search(r"\b(1[89]|20)\d\d\b", text), "no source with its year"


def test_a_missed_figure_is_named() -> None:
    figure = {"name": "accuracy", "value": 0.5, "low": 0.9, "high": None, "reached": False}
    assert gallery_pages.missed({"x": {"figures": [figure]}}) == [
        "x: accuracy is 0.5, expected at least 0.9"
    ]


def finished(folder: Path, **settings: Any) -> Path:
    """Return the folder of a run of the gates whose program was another."""
    run = Run(Settings("gates", **settings), folder, source="0" * 16)
    run.picture("square", np.eye(8))
    run.figure("share", 0.5, at_least=0.9)
    run.write(finished=True)
    return folder


def test_only_full_runs_with_the_defaults_are_taken(tmp_path: Path) -> None:
    gates = find("gates")
    others = ({"seed": 1}, {"quick": True}, {"epochs": 3}, {"options": {"threshold": 2}})
    for settings in others:
        assert make_gallery.full_run(gates, finished(tmp_path, **settings)) is None
    assert make_gallery.full_run(find("xor"), finished(tmp_path)) is None
    assert make_gallery.full_run(gates, tmp_path / "nowhere") is None
    state = make_gallery.full_run(gates, tmp_path)
    assert state is not None
    assert not make_gallery.is_current(gates, state)
    assert make_gallery.is_current(gates, {"source": sources.fingerprint("neurons.gates")})
    Run(Settings("gates"), tmp_path).write(finished=False)
    assert make_gallery.full_run(gates, tmp_path) is None


def test_command_writes_what_folders_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, place in (("GALLERY", "."), ("RESULTS", "results.json"), ("PICTURES", "pictures")):
        monkeypatch.setattr(make_gallery, name, tmp_path / "docs" / place)
    finished(tmp_path / "gates")
    arguments = ["--runs", str(tmp_path), "--collect", "gates"]
    assert make_gallery.main(arguments) == 1
    told = capsys.readouterr().out
    assert "gates: the result is of an earlier state of the recipe" in told
    assert "gates: share is 0.5, expected at least 0.9" in told
    assert "xor: has no result" in told
    assert json.loads((tmp_path / "docs" / "results.json").read_text())["gates"]["seconds"] >= 0
    page = (tmp_path / "docs" / "01-neurons.md").read_text()
    assert "| share | 0.5 | at least 0.9 | **missed** |" in page
    assert "(pictures/gates-1.png)" in page
    assert (tmp_path / "docs" / "pictures" / "gates-1.png").exists()


def test_fingerprint_sees_the_program_and_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_FOLDER", tmp_path)
    (tmp_path / "group").mkdir()
    imports = "from gradsmith.recipes.group import helper\nfrom gradsmith.recipes.run import Run\n"
    one, two = tmp_path / "group" / "one.py", tmp_path / "group" / "helper.py"
    one.write_text(f'"""Text."""\n{imports}')
    two.write_text('"""Text."""\nx = 1\n')
    found = sources.fingerprint("group.one")
    one.write_text(f'"""Another\n\ntext."""\n{imports}')
    assert sources.fingerprint("group.one") == found
    two.write_text('"""Text."""\nx = 2\n')
    assert sources.fingerprint("group.one") != found


def test_thumbnail_is_small(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    Image.fromarray(noise[:8, :8]).save(tmp_path / "tiny.png")
    large = thumbnails.thumbnail(tmp_path / "noise.png", tmp_path / "large")
    assert large.stat().st_size <= thumbnails.LIMIT
    assert large.suffix == ".jpg"
    tiny = thumbnails.thumbnail(tmp_path / "tiny.png", tmp_path / "small")
    with Image.open(tiny) as enlarged:
        assert enlarged.size == (240, 240)
