# SPDX-License-Identifier: Apache-2.0
"""Winograd's algorithm in 3 x 3 convolutions: asked for, it is right; unasked, it stays away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import _cpu
from gradsmith.autograd import grad
from gradsmith.ops import conv
from gradsmith.tensor import Tensor
from tests.cases import ISAS, NUMPY_DTYPES, isa_cap, threads
from tests.reference import conv as definition
from tests.test_conv import _channels_last
from tests.test_runtime import run_python
from tests.tolerance import assert_close

TILES = {"2x2": "matmul", "4x4": "winograd"}  # and the class of its error
NAMES = [x for x in _cpu.implementations()["conv_forward"] if "winograd" in x]
pytestmark = pytest.mark.skipif(len(ISAS) < 2, reason="the reference has no Winograd's algorithm")

# x, output channels, padding. The names say which way the kernels go and what is left over.
PROBLEMS: dict[str, tuple[tuple[int, ...], int, Any]] = {
    "tiles": ((2, 32, 12, 16), 32, 1),
    "tiles_ragged": ((2, 37, 11, 17), 45, 0),
    "tiles_many": ((2, 33, 41, 30), 24, 2),
    "tiles_far_padding": ((4, 24, 5, 6), 64, 4),
    "panels": ((2, 130, 9, 13), 210, 1),
    "panels_in_slabs": ((1, 130, 46, 41), 210, (0, 2)),
}


@contextmanager
def traced(capfd: pytest.CaptureFixture[str], found: list[str]) -> Iterator[None]:
    """Append the implementations of convolutions and their gradients that the block runs."""
    before = _cpu.verbosity()
    _cpu.set_verbosity(1)
    capfd.readouterr()
    try:
        yield
    finally:
        _cpu.set_verbosity(before)
        lines = [line.split(",") for line in capfd.readouterr().err.splitlines()]
        found += [x[2] for x in lines if x[1].startswith("conv_")]


def _arrays(x_shape: tuple[int, ...], filters: int, dtype: Any = np.float32) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = (x_shape, (filters, x_shape[1], 3, 3), (filters,))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def _expected(arrays: list[np.ndarray], padding: Any) -> tuple[np.ndarray, ...]:
    """Return y, a gradient of it, and what that makes of x and of the weight."""
    wide = [each.astype(np.float64) for each in arrays]
    pads = (padding,) * 2 if isinstance(padding, int) else padding
    y = definition.conv_forward(*wide, (1, 1), pads, (1, 1))
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    gradients = definition.conv_backward(dy.astype(np.float64), *wide[:2], (1, 1), pads, (1, 1))
    return y, dy, *gradients[:2]


def _run(arrays: list[np.ndarray], dy: np.ndarray, padding: Any) -> list[np.ndarray]:
    tensors = [Tensor(each, requires_grad=True) for each in arrays]
    y = conv.conv2d(*tensors, padding=padding)
    return [each.detach().numpy() for each in (y, *grad(y, tensors, Tensor(dy)))]


@pytest.mark.parametrize("isa", ISAS[1:])
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_parity(name: str, tile: str, isa: str, capfd: pytest.CaptureFixture[str]) -> None:
    x_shape, filters, padding = PROBLEMS[name]
    arrays = _arrays(x_shape, filters)
    y, dy, dx, dweight = _expected(arrays, padding)
    last = [_channels_last(arrays[0]), *arrays[1:]]
    found: list[str] = []
    with isa_cap(isa), gs.config.winograd(tile), traced(capfd, found):
        runs = []
        for count in (1, 2, 7):
            with threads(count):
                runs.append(_run(last, _channels_last(dy), padding))
        runs.append(_run(arrays, dy, padding))
    assert len(found) == 12
    assert all(each.endswith(f":winograd_{tile}") for each in found), found
    depths = (9 * x_shape[1], 9 * filters, dy.size // filters)
    for got, want, depth in zip(runs[0][:3], (y, dx, dweight), depths, strict=True):
        assert_close(got, want, "float32", TILES[tile], depth, name)
    for other in runs[1:]:
        for first, second in zip(runs[0][:3], other[:3], strict=True):
            assert first.tobytes() == second.tobytes(), f"{name}: bits differ by threads or layout"


FORCED = """
import numpy as np
from gradsmith.autograd import grad
from gradsmith.ops.conv import conv2d
from gradsmith.tensor import Tensor
data = dict(np.load(sys.argv[1]))
for name in {key.split(".")[0] for key in data}:
    x, weight, bias, dy = (data[f"{name}.{part}"] for part in ("x", "weight", "bias", "dy"))
    x, dy = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, dy))
    tensors = [Tensor(each, requires_grad=True) for each in (x, weight)]
    y = conv2d(*tensors, Tensor(bias), padding=1)
    results = (y.detach(), *grad(y, tensors, Tensor(dy)))
    data |= {f"{name}.{key}": z.numpy() for key, z in zip(("y", "dx", "dw"), results, strict=True)}
np.savez(sys.argv[1], **data)
"""


@pytest.mark.parametrize("name", NAMES)
def test_forced_it_takes_few_channels_and_tiles(name: str, tmp_path: Path) -> None:
    shapes = {"one": ((1, 8, 2, 2), 9), "odd": ((2, 9, 3, 5), 17), "wide": ((1, 17, 2, 70), 8)}
    data, want = {}, {}
    for key, (shape, filters) in shapes.items():
        arrays = _arrays(shape, filters)
        y, dy, dx, dweight = _expected(arrays, 1)
        parts = zip(("x", "weight", "bias", "dy"), (*arrays, dy), strict=True)
        data |= {f"{key}.{part}": array for part, array in parts}
        want |= {f"{key}.y": (y, 9 * shape[1]), f"{key}.dx": (dx, 9 * filters)}
        tiles = [-(-size // int(name[-1])) for size in dy.shape[2:]]  # whole ones, however filled
        want[f"{key}.dw"] = (dweight, len(dy) * np.prod(tiles) * int(name[-1]) ** 2)
    path = tmp_path / "arrays.npz"
    np.savez(path, **data)
    code = f"import sys; sys.argv[1:] = [{str(path)!r}]\n{FORCED}"
    slots = ("conv_forward", "conv_backward_input", "conv_backward_weight")
    forced = ",".join(f"{slot}:{name}" for slot in slots)
    result = run_python(code, GRADSMITH_IMPL=forced)
    assert result.returncode == 0, result.stderr
    got = np.load(path)
    for key, (expected, depth) in want.items():
        assert_close(got[key], expected, "float32", TILES[name[-3:]], depth, key)


@pytest.mark.parametrize("name", NAMES)
def test_forced_it_takes_one_channel(name: str) -> None:
    code = (
        "import numpy as np, gradsmith as gs; rng = np.random.default_rng(0); "
        "x, w = (gs.from_numpy(rng.standard_normal(s).astype(np.float32)) "
        "for s in ((1, 1, 6, 6), (16, 1, 3, 3))); "
        "print(gs.nn.functional.conv2d(x, w).numpy().tolist())"
    )
    forced = run_python(code, GRADSMITH_IMPL=f"conv_forward:{name}")
    assert forced.returncode == 0, forced.stderr
    direct = run_python(code)
    got, want = (np.array(json.loads(each.stdout)) for each in (forced, direct))
    assert_close(got, want, "float32", TILES[name[-3:]], 9)


# Changes to a problem that it would serve: shapes, options, dtype.
OTHERS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], str]] = {
    "float64": ((2, 32, 12, 12), (32, 32, 3, 3), {}, "float64"),
    "bfloat16": ((2, 32, 12, 12), (32, 32, 3, 3), {}, "bfloat16"),
    "strided": ((2, 32, 12, 12), (32, 32, 3, 3), {"stride": 2}, "float32"),
    "strided_one_way": ((2, 32, 12, 12), (32, 32, 3, 3), {"stride": (1, 2)}, "float32"),
    "dilated": ((2, 32, 12, 12), (32, 32, 3, 3), {"dilation": 2}, "float32"),
    "grouped": ((2, 64, 12, 12), (64, 32, 3, 3), {"groups": 2}, "float32"),
    "by_five": ((2, 32, 12, 12), (32, 32, 5, 5), {}, "float32"),
    "by_three_and_one": ((2, 32, 12, 12), (32, 32, 3, 1), {}, "float32"),
    "few_channels": ((2, 12, 12, 12), (32, 12, 3, 3), {}, "float32"),
    "few_filters": ((2, 32, 12, 12), (12, 32, 3, 3), {}, "float32"),
    "few_tiles": ((1, 32, 5, 5), (32, 32, 3, 3), {}, "float32"),
    "1d": ((2, 32, 40), (32, 32, 3), {}, "float32"),
    "3d": ((1, 32, 3, 12, 12), (32, 32, 3, 3, 3), {}, "float32"),
}


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("name", OTHERS)
def test_others_stay_as_they_are(name: str, tile: str, capfd: pytest.CaptureFixture[str]) -> None:
    x_shape, weight_shape, options, dtype = OTHERS[name]
    rng = np.random.default_rng(0)
    x, weight = (
        Tensor(rng.standard_normal(shape).astype(NUMPY_DTYPES[dtype]), requires_grad=True)
        for shape in (x_shape, weight_shape)
    )
    function = getattr(conv, f"conv{len(x_shape) - 2}d")
    found: list[str] = []
    with gs.config.winograd(tile), traced(capfd, found):
        y = function(x, weight, **options)
        grad(y.sum(), [x, weight])
    assert len(found) == 3
    assert not any("winograd" in each for each in found), found


@pytest.mark.parametrize("tile", TILES)
def test_gradients_of_weights_over_many_tiles(tile: str) -> None:
    """Their sums go on from chunk to chunk of tiles, and what lies beyond dy counts as zero."""
    arrays = _arrays((3, 40, 51, 49), 24)
    _, dy, _, dweight = _expected(arrays, 1)
    with gs.config.winograd(tile):
        got = _run(arrays, dy, 1)[2]
    assert_close(got, dweight, "float32", TILES[tile], dy.size // 24)


# ---- the switch ----------------------------------------------------------------------------------


def test_it_is_off_unless_asked_for() -> None:
    assert gs.config.get_winograd() == "off"
    with gs.config.winograd("4x4"):
        assert gs.config.get_winograd() == "4x4"
        with gs.config.winograd("off"):
            assert gs.config.config()["winograd"] == "off"
        assert gs.config.get_winograd() == "4x4"
    with pytest.raises(KeyError), gs.config.winograd("2x2"):
        raise KeyError
    assert gs.config.get_winograd() == "off"


def test_unknown_tiles_are_refused() -> None:
    with (
        pytest.raises(ValueError, match=r"unknown tile '6x6' \(expected off, 2x2 or 4x4"),
        gs.config.winograd("6x6"),
    ):
        pass


def test_environment() -> None:
    code = "import gradsmith as gs; print(gs.config.get_winograd())"
    assert run_python(code, GRADSMITH_WINOGRAD="2x2").stdout.strip() == "2x2"
    assert run_python(code, GRADSMITH_WINOGRAD="").stdout.strip() == "off"
    wrong = run_python(code, GRADSMITH_WINOGRAD="yes")
    assert wrong.returncode == 1
    assert "GRADSMITH_WINOGRAD: unknown tile 'yes'" in wrong.stderr


def test_it_says_why_it_declines() -> None:
    code = (
        "import gradsmith as gs; gs.nn.functional.conv2d(gs.ones(1, 32, 8, 8), gs.ones(32, 32, {0})"
        ")"
    )
    unasked = run_python(code.format("3, 3"), GRADSMITH_VERBOSE="2")
    assert "declined: needs p.winograd == kTile" in unasked.stderr
    name = f"{ISAS[1]}:winograd_4x4"
    forced = run_python(code.format("5, 5"), GRADSMITH_IMPL=f"conv_forward:{name}")
    assert "needs p.kernel[1] == kWinogradTaps" in forced.stderr
