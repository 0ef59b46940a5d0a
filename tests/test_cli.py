# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, what goes to stdout and stderr, bad files, the demo."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import cli, models
from gradsmith.recipes import digits_lenet


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    out, err = capsys.readouterr()
    assert "isa" in out
    assert err == ""


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["summary", "lenet5"]) == 0
    assert "parameters: 61,706" in capsys.readouterr().out
    assert cli.main(["summary", "lenet"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    known = ", ".join(models.list_models())
    assert err == f"gradsmith: model 'lenet' is unknown; did you mean 'lenet5'? (known: {known})\n"


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.safetensors"
    gs.save(models.lenet5().state_dict(), path)
    assert cli.main(["inspect", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    line = next(line for line in out.splitlines() if line.startswith("classifier.0.weight"))
    assert line.split() == ["classifier.0.weight", "F32", "192,000", "B", "(120,", "400)"]
    assert out.splitlines()[-1] == "10 tensors, 246,824 bytes"


def header(entries: dict[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 not a safetensors file",
        struct.pack("<Q", 2**62) + b"{}",
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        header(
            {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, b"12345678"
        ),
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"123456789"),
        header({"a": 3}),
        struct.pack("<Q", 1) + b"[",
    ],
)
def test_inspect_refuses(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    assert cli.main(["inspect", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gradsmith: ")
    assert str(path) in err
    assert err.count("\n") == 1


def test_inspect_without_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "none", tmp_path):
        assert cli.main(["inspect", str(path)]) == 1
        assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["summary"],
        ["demo", "--epochs", "0"],
        ["demo", "--seed", "-1"],
        ["info", "x"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: gradsmith" in capsys.readouterr().err


COMMANDS = [[], ["demo"], ["info"], ["summary"], ["inspect"], ["playground"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command, "--help"])
    assert stopped.value.code == 0
    assert "  gradsmith " in capsys.readouterr().out


def test_demo_without_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--device", "tpu"]) == 1
    assert "device 'tpu' is unknown" in capsys.readouterr().err


def test_demo_on_the_simulator(capsys: pytest.CaptureFixture[str]) -> None:
    on_simulator = ["demo", "--epochs", "1", "--quiet", "--digits", "20", "--device", "cudasim"]
    assert cli.main(on_simulator) == 1
    simulated = capsys.readouterr().out.splitlines()
    assert cli.main(on_simulator[:-2]) == 1
    # The same steps, so the same answers, on 20 digits of which one is 5 %.
    assert simulated[0] == capsys.readouterr().out.splitlines()[0]
    assert "on 20 digits" in simulated[0]


def test_demo_that_misses_the_goal(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--epochs", "1"]) == 1
    out, err = capsys.readouterr()
    assert "test accuracy: 0." in out
    assert "time per epoch: " in out
    assert "missed" in out
    assert err.startswith("epoch 1/1: ")
    assert cli.main(["demo", "--epochs", "1", "--quiet"]) == 1
    assert capsys.readouterr().err == ""


def test_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(digits_lenet, "main", interrupt)
    assert cli.main(["demo"]) == 130


@pytest.mark.slow
def test_demo_reaches_the_goal() -> None:
    result = digits_lenet.run(seed=1, verbose=0)
    assert result.test_accuracy >= digits_lenet.GOAL
    again = digits_lenet.run(seed=1, verbose=0)
    for name, value in result.model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), again.model.state_dict()[name].numpy())


def test_module_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gradsmith", "summary", "lenet5"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "LeNet5" in done.stdout


def test_reader_that_leaves() -> None:
    command = f"{sys.executable} -m gradsmith summary lenet5 | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
