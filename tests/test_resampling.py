# SPDX-License-Identifier: Apache-2.0
"""Images of other sizes, sampled at points, and rearranged between channels and planes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from tests.cases import Case, CaseTests
from tests.reference import resampling as definition

Make = Callable[[np.random.Generator], tuple[Any, ...]]


def normal(*shapes: tuple[int, ...]) -> Make:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def interpolated(
    mode: str, shape: tuple[int, ...], size: tuple[int, ...], align_corners: bool
) -> Case:
    kernel = "cubic" if mode == "bicubic" else "linear"
    return Case(
        f"{mode}-{shape}-{size}-{align_corners}",
        lambda x: F.interpolate(x, size, mode=mode, align_corners=align_corners),
        lambda x: definition.interpolate(x, size, align_corners, kernel),
        normal(shape),
        lambda dy, x: definition.interpolate_backward(dy, x, align_corners, kernel),
        tolerance="matmul",
        depth=4 ** len(size),
    )


def sampled(
    mode: str,
    padding: str,
    align_corners: bool,
    sizes: tuple[int, ...] = (3, 4),
    lead: tuple[int, int] = (1, 2),
    out: tuple[int, ...] = (2, 2),
) -> Case:
    """At points within and outside the image, away from the middles between pixels."""
    d = len(sizes)
    options = (mode, padding, align_corners)

    def make(rng: np.random.Generator) -> tuple[Any, ...]:
        places = (lead[0], *(1,) * (d - 2), *out, d)
        pixels = rng.integers(-3, max(sizes) + 2, places) + rng.choice([0.2, 0.3, 0.7], d)
        ends = np.array(sizes[::-1]) - 1.0
        grid = 2 * pixels / ends - 1 if align_corners else (2 * pixels + 1) / (ends + 1) - 1
        return rng.standard_normal((*lead, *sizes)), grid

    return Case(
        f"grid_sample-{mode}-{padding}-{align_corners}-{sizes}-{lead}",
        lambda x, grid: F.grid_sample(x, grid, *options),
        lambda x, grid: definition.grid_sample(x, grid, *options),
        make,
        lambda dy, x, grid: definition.grid_sample_backward(dy, x, grid, *options),
        tolerance="matmul",
        depth=256,
        dtypes=("float32", "float64"),  # bfloat16 places points on other pixels
        second_order=lead[1] < 3,
    )


def moved(name: str, call: Callable[..., Any], reference: Callable[..., Any], *shape: int) -> Case:
    return Case(name, call, reference, normal(shape), tolerance="exact")


def woven(x: np.ndarray, r: int, order: str) -> np.ndarray:
    """Return (N, C, H r, W r) as (N, C r r, H, W), element by element."""
    n, channels, height, width = x.shape
    y = np.zeros((n, channels * r * r, height // r, width // r))
    for c, i, j in np.ndindex(channels, r, r):
        place = c * r * r + i * r + j if order == "pixel" else (i * r + j) * channels + c
        y[:, place] = x[:, c, i::r, j::r]
    return y


def spread(x: np.ndarray, r: int) -> np.ndarray:
    """Return (N, C r r, H, W) as (N, C, H r, W r), element by element."""
    n, channels, height, width = x.shape
    y = np.zeros((n, channels // (r * r), height * r, width * r))
    for c, i, j in np.ndindex(y.shape[1], r, r):
        y[:, c, i::r, j::r] = x[:, c * r * r + i * r + j]
    return y


CASES = [
    interpolated("linear", (2, 2, 4), (7,), False),
    interpolated("linear", (2, 2, 5), (3,), True),
    interpolated("bilinear", (1, 2, 3, 4), (5, 3), False),
    interpolated("bilinear", (1, 2, 3, 4), (6, 4), True),
    interpolated("bicubic", (1, 2, 3, 4), (5, 3), False),
    interpolated("bicubic", (1, 2, 3, 2), (4, 5), True),
    interpolated("trilinear", (1, 1, 2, 3, 2), (3, 2, 3), False),
    *(
        Case(
            f"antialias-{mode}",
            lambda x, mode=mode: F.interpolate(x, (3, 6), mode=mode, antialias=True),
            lambda x, mode=mode: definition.antialiased(x, (3, 6), mode == "bicubic"),
            normal((1, 2, 7, 5)),
            tolerance="matmul",
            depth=64,
        )
        for mode in ("bilinear", "bicubic")
    ),
    moved(
        "nearest-2d",
        lambda x: F.interpolate(x, (5, 3)),
        lambda x: definition.nearest(x, (5, 3)),
        *(1, 2, 3, 4),
    ),
    moved(
        "nearest-exact-3d",
        lambda x: F.interpolate(x, (3, 2, 4), mode="nearest-exact"),
        lambda x: definition.nearest(x, (3, 2, 4), exact=True),
        *(1, 2, 2, 3, 3),
    ),
    sampled("bilinear", "zeros", False),
    sampled("bilinear", "border", True),
    sampled("bilinear", "reflection", False),
    sampled("bilinear", "zeros", False, (3, 2, 4)),
    sampled("nearest", "zeros", True),
    sampled("nearest", "reflection", True, (3, 2, 4)),
    sampled("bicubic", "border", False),
    sampled("bicubic", "reflection", True),
    Case(
        "affine_grid",
        lambda theta: F.affine_grid(theta, (2, 1, 2, 3), align_corners=True),
        lambda theta: np.einsum(
            "nij,hwj->nhwi",
            theta,
            np.stack(
                np.broadcast_arrays(
                    np.array([-1.0, 0, 1]), np.array([[-1.0], [1.0]]), np.ones((2, 3))
                ),
                axis=-1,
            ),
        ),
        normal((2, 2, 3)),
        tolerance="matmul",
        depth=3,
    ),
    moved("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), lambda x: spread(x, 2), 2, 8, 1, 3),
    *(
        moved(name, call, lambda x, order=order: woven(x, 2, order), 2, 3, 4, 2)
        for name, call, order in (
            ("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), "pixel"),
            ("space_to_depth", lambda x: F.space_to_depth(x, 2), "place"),
        )
    ),
    moved(
        "channel_shuffle",
        lambda x: F.channel_shuffle(x, 3),
        lambda x: x[:, [0, 2, 4, 1, 3, 5]],
        *(2, 6, 2, 2),
    ),
]


class TestCases(CaseTests):
    pass


def test_rearrangements_undo_each_other() -> None:
    x = gs.tensor(np.random.default_rng(0).standard_normal((2, 12, 4, 6)))
    for there, back in (
        (F.pixel_shuffle, F.pixel_unshuffle),
        (F.depth_to_space, F.space_to_depth),
        (F.pixel_unshuffle, F.pixel_shuffle),
    ):
        assert gs.equal(back(there(x, 2), 2), x)
        assert there(x[0], 2).shape == there(x, 2).shape[1:]
    assert gs.equal(F.channel_shuffle(F.channel_shuffle(x, 3), 4), x)


def test_factor_and_size_choose_other_coordinates() -> None:
    x = gs.arange(5.0).reshape(1, 1, 5)
    by_size = F.interpolate(x, 8, mode="linear")
    assert F.interpolate(x, scale_factor=1.7, mode="linear").tolist() != by_size.tolist()
    again = F.interpolate(x, scale_factor=1.7, mode="linear", recompute_scale_factor=True)
    assert again.tolist() == by_size.tolist()
    # Centres at (t + 1/2) / 1.7 - 1/2.
    third = 2.5 / 1.7 - 0.5
    assert F.interpolate(x, scale_factor=1.7, mode="linear")[0, 0, 2].item() == pytest.approx(third)


def test_area_is_the_average_and_upsample_the_old_name() -> None:
    x = gs.rand(2, 3, 7, 5)
    assert gs.equal(F.interpolate(x, (3, 2), mode="area"), F.adaptive_avg_pool2d(x, (3, 2)))
    assert gs.equal(F.upsample(x, scale_factor=2), F.interpolate(x, (14, 10)))
    assert F.interpolate(gs.tensor([[[1, 2]]]), 4).tolist() == [[[1, 1, 2, 2]]]


def test_a_pixel_that_is_no_number_stays_among_its_neighbours() -> None:
    x = gs.zeros(1, 1, 8, 8)
    x[0, 0, 4, 4] = float("nan")
    for mode, reach in (("bilinear", 4), ("bicubic", 8)):
        wrong = np.isnan(F.interpolate(x, scale_factor=2, mode=mode).numpy())[0, 0]
        assert wrong.any(0).sum() == wrong.any(1).sum() == reach, mode


def test_the_identity_grid_gives_the_image_back() -> None:
    for sizes in ((4, 5), (3, 4, 5)):
        d = len(sizes)
        x = gs.tensor(np.random.default_rng(0).standard_normal((2, 3, *sizes)))
        theta = gs.eye(d, d + 1, dtype=gs.float64).expand(2, d, d + 1)
        for align_corners in (True, False):
            grid = F.affine_grid(theta, x.shape, align_corners)
            same = F.grid_sample(x, grid, align_corners=align_corners)
            np.testing.assert_allclose(same.numpy(), x.numpy(), atol=1e-12)


def test_points_that_are_no_numbers_give_none() -> None:
    grid = gs.full((1, 1, 2, 2), float("nan"))
    assert F.grid_sample(gs.ones(1, 1, 3, 3), grid).isnan().all()
    far = gs.full((1, 1, 2, 2), 1e30)
    assert F.grid_sample(gs.ones(1, 1, 3, 3), far).tolist() == [[[[0.0, 0.0]]]]
    edge = F.grid_sample(gs.ones(1, 1, 3, 3), far, padding_mode="border")
    assert edge.tolist() == [[[[1.0, 1.0]]]]


X, GRID = gs.ones(1, 2, 4, 4), gs.zeros(1, 3, 3, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.interpolate(X), ValueError, "either size or scale_factor"),
        (lambda: F.interpolate(X, 2, 2.0), ValueError, "either size or scale_factor"),
        (lambda: F.interpolate(X, 2, mode="cubic"), ValueError, "mode is 'cubic', expected one"),
        (lambda: F.interpolate(X, 2, mode="linear"), ValueError, "of 3 dimensions for mode"),
        (lambda: F.interpolate(X, (1, 2, 3)), ValueError, "expected 2 ints"),
        (lambda: F.interpolate(X, 0), ValueError, "size is 0, expected at least 1"),
        (lambda: F.interpolate(X, 2.5), TypeError, "size is a float"),
        (lambda: F.interpolate(X, scale_factor=0), ValueError, "scale_factor is 0"),
        (lambda: F.interpolate(X, scale_factor=0.1), ValueError, "leaves the sizes"),
        (lambda: F.interpolate(X, scale_factor="a"), TypeError, "scale_factor is a str"),
        (lambda: F.interpolate(X, 2, align_corners=True), ValueError, "does not apply to mode"),
        (lambda: F.interpolate(X, 2, antialias=True), ValueError, "antialias does not apply"),
        (lambda: F.interpolate(X, 2, antialias=1), TypeError, "antialias is a int"),
        (lambda: F.interpolate(X, 2, recompute_scale_factor=True), ValueError, "recompute"),
        (lambda: F.interpolate(gs.ones(1, 2, 0), 2), ValueError, "none empty"),
        (lambda: F.interpolate(X.long(), 2, mode="bilinear"), TypeError, "input is int64"),
        (lambda: F.grid_sample(X, GRID, "cubic"), ValueError, "grid_sample: mode is 'cubic'"),
        (lambda: F.grid_sample(X, GRID, padding_mode="x"), ValueError, "padding_mode is 'x'"),
        (lambda: F.grid_sample(X, GRID[..., :1]), ValueError, "grid_sample: input has shape"),
        (lambda: F.grid_sample(X, gs.zeros(2, 3, 3, 2)), ValueError, "the same batch"),
        (lambda: F.grid_sample(X, GRID.double()), TypeError, "grid float64"),
        (
            lambda: F.grid_sample(gs.ones(1, 1, 2, 2, 2), gs.zeros(1, 2, 2, 2, 3), "bicubic"),
            ValueError,
            "'bicubic' takes 4-d",
        ),
        (lambda: F.affine_grid(gs.ones(1, 2, 3), (2, 1, 2, 2)), ValueError, "theta has shape"),
        (lambda: F.affine_grid(gs.ones(1, 2, 3).long(), (1, 1, 2, 2)), TypeError, "int64"),
        (lambda: F.affine_grid(gs.ones(1, 2, 3), (1, 1, 0, 2)), ValueError, "at least 1"),
        (lambda: F.pixel_shuffle(X, 2), ValueError, "pixel_shuffle: input has shape"),
        (lambda: F.pixel_unshuffle(X, 3), ValueError, "H and W divisible by 3"),
        (lambda: F.pixel_unshuffle(X, 0), ValueError, "downscale_factor is 0"),
        (lambda: F.space_to_depth(X, 2.0), TypeError, "block_size is a float"),
        (lambda: F.depth_to_space(gs.ones(4), 2), ValueError, "C divisible by 4"),
        (lambda: F.channel_shuffle(X, 3), ValueError, "with C divisible by 3"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
