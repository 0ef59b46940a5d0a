# SPDX-License-Identifier: Apache-2.0
"""The standard sets are fetched, checked, kept and found again; recipes run on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import matplotlib as mpl
import numpy as np
import pytest

from gradsmith import cli
from gradsmith.data import datasets
from gradsmith.recipes import catalogue
from tests.standard_sets import FILES, NAMES, SHIRTS, Server, flip_a_byte, make_files, redirect

mpl.use("Agg")

STANDARD = [entry for entry in catalogue.RECIPES if entry.standard]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    make_files(folder)
    return folder


@pytest.fixture
def server(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(made)
    with server.running():
        monkeypatch.setenv("GRADSMITH_CACHE_DIR", str(tmp_path / "cache"))
        redirect(monkeypatch, made, server.url)
        yield server


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def unreachable(url: str, **options: Any) -> Any:
    raise URLError("no route to host")


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_fetched_once(name: str, server: Server, tmp_path: Path) -> None:
    load = getattr(datasets, name)
    train, test = load(download=True), load(None, "test", True)
    assert set(server.asked) == {f"{name}/{file}" for file in FILES[name]}
    assert len(server.asked) == len(FILES[name])
    assert kept(tmp_path) == sorted(FILES[name])
    load(download=True)
    load()
    assert len(server.asked) == len(FILES[name])
    if name == "imdb":
        assert (len(train), len(test)) == (300, 300)
        assert train.texts[0].endswith(".<br />")
        assert set(train.targets.tolist()) == {0, 1}
        return
    shape = (3, 32, 32) if name == "cifar10" else (1, 28, 28)
    counts = (500, 100) if name == "cifar10" else (1442, 355)
    assert (train[0][0].shape, len(train), len(test)) == (shape, *counts)
    assert len(train.classes) == 10
    if name in SHIRTS:
        np.testing.assert_array_equal(test.targets, datasets.digits("test").targets)


@pytest.mark.parametrize("name", NAMES)
def test_another_content_is_refused(
    name: str, server: Server, tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / name / FILES[name][0]
    other.parent.mkdir(parents=True)
    other.write_bytes(b"\x1f\x8b another file")
    server.folder = tmp_path / "other"
    with pytest.raises(RuntimeError, match=f"{FILES[name][0]}.*sha256 is .* over 15 bytes"):
        getattr(datasets, name)(download=True)
    assert kept(tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_broke_off_leaves_nothing_and_is_fetched_again(
    name: str, server: Server, tmp_path: Path
) -> None:
    server.cut = 1
    with pytest.raises(RuntimeError, match=r"broke off after \d+ of \d+ bytes"):
        getattr(datasets, name)(download=True)
    assert kept(tmp_path) == []
    assert len(getattr(datasets, name)(download=True)) > 0


def test_a_mirror_helps_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrors = (f"{server.url}mnist/", f"{server.url}mnist/")
    monkeypatch.setattr("gradsmith.data.datasets.pictures._MNIST_MIRRORS", mirrors)
    server.cut = 1
    assert len(datasets.mnist(download=True)) == 1442


def test_ctrl_c_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        datasets.mnist(download=True)
    assert server.asked
    assert kept(tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_found_out_and_fetched_again(
    name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = getattr(datasets, name)
    load(download=True)
    path = tmp_path / "cache" / name / FILES[name][0]
    whole = path.read_bytes()
    for damage in ("flipped", "short"):
        if damage == "flipped":
            flip_a_byte(path)
        else:
            path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=f"{path}.*damaged"):
            load()
        assert len(load(download=True)) > 0
        assert path.read_bytes() == whole
    path.write_bytes(whole[:100])
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(RuntimeError, match=f"Without a network, put the file at {path}"):
        load(download=True)


def run_recipe(tmp_path: Path, name: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
    code = cli.main(["run", name, "--quick", "--epochs", "1", "--out", str(folder), *arguments])
    report = folder / "report.html"
    page = report.read_text() if report.exists() else ""
    return code, json.loads((folder / "run.json").read_text()) if page else {}, page


@pytest.mark.parametrize("entry", STANDARD, ids=lambda entry: entry.name)
def test_recipes_run_on_their_standard_set(
    entry: catalogue.Entry, server: Server, tmp_path: Path
) -> None:
    _, state, page = run_recipe(tmp_path, entry.name, "--data", "standard")
    assert state["finished"]
    assert entry.standard is not None
    assert entry.standard in page
    assert server.asked
    assert state["figures"]


def test_auto_takes_what_is_in_the_cache(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in, mnist = "1,797 scans", "MNIST: 70,000 scans"
    page = run_recipe(tmp_path, "optimizers")[2]
    assert stand_in in page
    assert mnist not in page
    assert server.asked == []
    datasets.mnist(download=True)
    assert stand_in in run_recipe(tmp_path, "optimizers")[2]  # half of it is not the set
    datasets.mnist(None, "test", True)
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    assert mnist in run_recipe(tmp_path, "optimizers")[2]
    assert stand_in in run_recipe(tmp_path, "optimizers", "--data", "offline")[2]


def test_standard_says_what_to_do(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    code, state, _ = run_recipe(tmp_path, "lenet5", "--data", "standard")
    assert (code, state["finished"]) == (1, False)
    message = capsys.readouterr().err
    path = tmp_path / "cache" / "mnist" / "train-images-idx3-ubyte.gz"
    assert f"Without a network, put the file at {path}" in message
    assert "no route to host" in message
    path.write_bytes(b"\x1f\x8b broken")
    assert run_recipe(tmp_path, "lenet5")[0] == 1
    assert "damaged gzip file" in (message := capsys.readouterr().err)
    assert "--data offline" in message
    assert run_recipe(tmp_path, "gates", "--data", "standard")[0] == 1
    assert "recipe 'gates' knows no standard set" in capsys.readouterr().err
