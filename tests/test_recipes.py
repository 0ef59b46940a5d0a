# SPDX-License-Identifier: Apache-2.0
"""Every recipe reaches the figures of its quick run; the commands list, run, resume and refuse."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import gradsmith as gs
from gradsmith import cli, nn
from gradsmith.recipes import catalogue
from gradsmith.recipes.run import Run, Settings, load_settings
from tests import browser

mpl.use("Agg")


every_recipe = pytest.mark.parametrize("entry", catalogue.RECIPES, ids=lambda entry: entry.name)


def quick_run(entry: catalogue.Entry, threads: int, shared_folder: Path) -> Path:
    """Return the folder of a quick run, which the first test that asks for it makes."""
    folder = shared_folder / f"{entry.name}-{threads}"
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            before = gs.get_num_threads()
            gs.set_num_threads(threads)
            cli.main(["run", entry.name, "--quick", "--out", str(folder)])
            gs.set_num_threads(before)
    return folder


def told(folder: Path) -> dict[str, Any]:
    """Return what a run folder says."""
    return dict(json.loads((folder / "run.json").read_text()))


@every_recipe
def test_quick_run_reaches_its_figures(entry: catalogue.Entry, shared_folder: Path) -> None:
    folder = quick_run(entry, 1, shared_folder)
    state = told(folder)
    assert state["finished"]
    assert state["figures"], "a recipe has to tell what it came to"
    judged = [each for each in state["figures"] if (each["low"], each["high"]) != (None, None)]
    assert judged, "a recipe has to expect something"
    assert [each for each in judged if not each["reached"]] == []
    assert [each for each in state["pictures"] if not (folder / each["file"]).exists()] == []
    page = (folder / "report.html").read_text()
    assert page.count("data:image/") == len(state["pictures"]) >= 1
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.browser
@every_recipe
def test_report_opens_in_a_browser(
    entry: catalogue.Entry, shared_folder: Path, chromium: Any
) -> None:
    assert browser.faults(chromium, quick_run(entry, 1, shared_folder) / "report.html") == []


@pytest.mark.slow
@every_recipe
def test_threads_do_not_change_figures(entry: catalogue.Entry, shared_folder: Path) -> None:
    one, two = (told(quick_run(entry, threads, shared_folder)) for threads in (1, 2))
    assert two["figures"] == one["figures"]
    assert two["history"] == one["history"]


def test_names_are_unique_and_modules_have_docstrings() -> None:
    names = [entry.name for entry in catalogue.RECIPES]
    assert len(set(names)) == len(names)
    groups = [entry.group for entry in catalogue.RECIPES]
    assert groups == sorted(groups, key=lambda group: int(group.split()[0]))
    for entry in catalogue.RECIPES:
        function, options = entry.load()
        assert function.__module__.startswith("gradsmith.recipes.")
        assert isinstance(options, dict)


def test_list_shows_groups_and_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    for entry in catalogue.RECIPES:
        assert entry.name in out
        assert entry.summary in out
        assert out.count(f"{entry.group}\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "lenet"], "recipe 'lenet' is unknown; did you mean 'lenet5'?"),
        (["run"], "expected the name of a recipe"),
        (["run", "lenet5", "--set", "depth=3"], "has no option 'depth=3'"),
        (["run", "lenet5", "--device", "tpu"], "tpu"),
        (["show", "nowhere"], "nowhere is no folder of a run"),
        (["run", "--resume", "nowhere"], "nowhere is no folder of a run"),
    ],
)
def test_refusals(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_foreign_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    assert cli.main(["run", "lenet5", "--quick", "--out", str(tmp_path)]) == 1
    assert "is no folder of a run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "run.json").write_text('{"kind": "something else"}')
    assert cli.main(["run", "--resume", str(tmp_path)]) == 1


@pytest.mark.parametrize(
    "settings",
    [{"recipe": 5}, {"recipe": "gates", "epochs": "x"}, {"recipe": "gates", "colour": 1}, [], {}],
    ids=str,
)
def test_unreadable_settings_are_refused(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps({"kind": "gradsmith recipe run", "settings": settings})
    (tmp_path / "run.json").write_text(text)
    for command in (["run", "--resume"], ["show"], ["run", "gates", "--out"]):
        assert cli.main([*command, str(tmp_path)]) == 1
        assert "is no folder of a run: it has no run.json of one" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert (tmp_path / "run.json").read_text() == text


def test_run_of_other_options_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Run(Settings("xor", options={"width": 3}), tmp_path).write(finished=False)
    assert cli.main(["run", "--resume", str(tmp_path)]) == 1
    assert "holds a run of another version of 'xor'" in capsys.readouterr().err


def test_show_prints_the_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Settings("x"), tmp_path)
    run.write(finished=True)
    assert cli.main(["show", str(tmp_path), "--no-browser"]) == 0
    assert capsys.readouterr().out.strip() == (tmp_path / "report.html").as_uri()
    (tmp_path / "report.html").unlink()
    assert cli.main(["show", str(tmp_path), "--no-browser"]) == 1
    assert "without a report.html" in capsys.readouterr().err


def test_report_holds_what_was_told(tmp_path: Path) -> None:
    run = Run(Settings("a <b>", quick=True, options={"width": 3}), tmp_path)
    run.log(loss=2.0)
    run.log(loss=1.0)
    run.figure("accuracy", 0.5, at_least=0.9, quick=0.4)
    run.figure("error", 3.0, at_most=2.0)
    run.figure("plain", 7)
    run.text("Samples", "a < b & c")
    run.table("Rows", ["name", "value"], [["x", 1.23456]])
    run.picture("square", np.eye(4, dtype=np.float32), "A line.")
    run.model(nn.Linear(3, 2), (1, 3))
    run.write(finished=False)
    page = (tmp_path / "report.html").read_text()
    for text in (
        "a &lt;b&gt;",
        "a &lt; b &amp; c",
        "1.235",
        "A line.",
        "at least 0.4",
        "at most 2",
    ):
        assert text in page
    assert "stopped before its end" in page
    assert "loss: 2 to 1 in 2 steps" in page
    assert run.missed == ["error"]
    assert set(gs.load(tmp_path / "weights.safetensors")) == {"weight", "bias"}
    assert load_settings(tmp_path) == run.settings


class StoppedError(Exception):
    pass


def _train(run: Run, stop_after: int | None = None) -> dict[str, Any]:
    model = nn.Linear(3, 1)
    optimizer = gs.optim.Adam(model.parameters(), lr=0.1)
    state = {"model": model, "optimizer": optimizer}
    for number in run.rounds(4, state, stage="first"):
        optimizer.zero_grad()
        loss = (model(gs.randn(5, 3)) ** 2).mean()
        loss.backward()
        optimizer.step()
        run.log(loss=loss.item())
        if number == stop_after:
            raise StoppedError
    x = gs.randn(20, 3)
    model.compile(optimizer, "mse")
    run.fit(model, x, x[:, :1], epochs=3, stage="second", verbose=0)
    return {key: value.numpy().copy() for key, value in model.state_dict().items()}


def test_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = Run(Settings("x", seed=3), tmp_path / "whole")
    expected = _train(whole)
    broken = Run(Settings("x", seed=3), tmp_path / "broken")
    with pytest.raises(StoppedError):
        _train(broken, stop_after=2)
    resumed = Run(Settings("x", seed=3), tmp_path / "broken", resuming=True)
    got = _train(resumed)
    assert resumed.history == whole.history
    assert list(whole.history) == ["loss", "second/loss"]
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value)


def test_interruption_keeps_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(run: Run) -> None:
        run.figure("seen", 1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr("gradsmith.recipes.convolution.lenet5.main", stop)
    assert cli.main(["run", "lenet5", "--out", str(tmp_path / "run")]) == 130
    assert "--resume" in capsys.readouterr().err
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert not state["finished"]
    assert state["figures"][0]["name"] == "seen"
