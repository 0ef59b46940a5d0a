# SPDX-License-Identifier: Apache-2.0
"""Elementwise and classification losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradsmith.autograd import grad
from gradsmith.ops import loss, loss_class
from gradsmith.tensor import Tensor
from tests.cases import Case, CaseTests
from tests.reference import loss as ref

REDUCTIONS = ("none", "mean", "sum")
CLASS_WEIGHT = np.array([0.5, 2.0, 1.0, 1.5])


def _pair(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return 2 * rng.standard_normal((3, 5)), rng.standard_normal((3, 5))


def _probabilities(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return rng.uniform(0.1, 0.9, (3, 5)), rng.uniform(0.1, 0.9, (3, 5))


def _logits_and_probabilities(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return 2 * rng.standard_normal((3, 5)), _probabilities(rng)[0]


def _with(make: Callable[..., Any], shape: tuple[int, ...]) -> Callable[..., Any]:
    return lambda rng: (*make(rng), rng.uniform(0.5, 2, shape))


def _pointwise(
    name: str, call: Any, reference: str, make: Callable[..., Any], reduction: str, **options: Any
) -> Case:
    return Case(
        f"{name}-{reduction}",
        partial(call, reduction=reduction, **options),
        partial(getattr(ref, reference), reduction=reduction, **options),
        make,
        backward=partial(getattr(ref, f"{reference}_backward"), reduction=reduction, **options),
        tolerance="transcendental",
        depth=15,
    )


def constant(x: Tensor, values: np.ndarray) -> Tensor:
    return Tensor(values.astype(x.dtype)).to(x.device)


def labels(shape: tuple[int, ...], classes: int, ignored: int) -> Callable[..., Any]:
    """Logits and class indices, every third of them ignored."""

    def make(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        x = 2 * rng.standard_normal(shape)
        axis = 1 if len(shape) > 1 else 0
        target = rng.integers(0, classes, shape[:axis] + shape[axis + 1 :])
        if target.size > 2:
            target.reshape(-1)[::3] = ignored
        return x, target

    return make


def _class_case(op: str, shape: tuple[int, ...], weighted: bool, **options: Any) -> Case:
    reference = {"cross_entropy": "cross_entropy", "nll_loss": "nll"}[op]
    words = [op, "x".join(map(str, shape)), *(f"{v}" for v in options.values())]
    weight = CLASS_WEIGHT if weighted else None

    def call(x: Tensor, target: Tensor) -> Tensor:
        w = None if weight is None else constant(x, weight)
        return getattr(loss_class, op)(x, target, w, **options)

    return Case(
        "-".join(words + ["weighted"] * weighted),
        call,
        lambda x, t: getattr(ref, reference)(x, t, weight, **options),
        labels(shape, 4, options.get("ignore_index", -100)),
        backward=lambda dy, x, t: getattr(ref, f"{reference}_backward")(
            dy, x, t, weight, **options
        ),
        tolerance="softmax",
        layouts=len(shape) > 1,  # an array of no dimensions has one layout
    )


def _soft_target(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    target = rng.uniform(0.1, 1, (3, 4, 2))
    return 2 * rng.standard_normal((3, 4, 2)), target / target.sum(1, keepdims=True)


def _soft_case(reduction: str, weighted: bool, smoothing: float) -> Case:
    weight = CLASS_WEIGHT if weighted else None
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing}

    def call(x: Tensor, target: Tensor) -> Tensor:
        w = None if weight is None else constant(x, weight)
        return loss_class.cross_entropy(x, target, w, **options)

    return Case(
        f"cross_entropy-soft-{reduction}-{smoothing}{'-weighted' * weighted}",
        call,
        lambda x, t: ref.cross_entropy(x, t, weight, **options),
        _soft_target,
        tolerance="softmax",
    )


CASES = [
    *(
        _pointwise(name, getattr(loss, f"{name}_loss"), name, _pair, reduction, **options)
        for reduction in REDUCTIONS
        for name, options in (
            ("mse", {}),
            ("l1", {}),
            ("huber", {"delta": 0.7}),
            ("smooth_l1", {"beta": 0.6}),
        )
    ),
    _pointwise("smooth_l1-0", loss.smooth_l1_loss, "smooth_l1", _pair, "mean", beta=0.0),
    *(
        _pointwise("bce", loss.binary_cross_entropy, "bce", _probabilities, reduction)
        for reduction in REDUCTIONS
    ),
    *(
        _pointwise(
            "bce_with_logits",
            loss.binary_cross_entropy_with_logits,
            "bce_with_logits",
            _logits_and_probabilities,
            reduction,
        )
        for reduction in REDUCTIONS
    ),
    *(
        _pointwise("kl_div", loss.kl_div, "kl_div", _logits_and_probabilities, reduction)
        for reduction in (*REDUCTIONS, "batchmean")
    ),
    *(
        _pointwise("kl_div-log", loss.kl_div, "kl_div", _pair, reduction, log_target=True)
        for reduction in (*REDUCTIONS, "batchmean")
    ),
    *(
        Case(
            f"bce-weighted-{reduction}",
            partial(loss.binary_cross_entropy, reduction=reduction),
            partial(ref.bce, reduction=reduction),
            _with(_probabilities, (5,)),
            tolerance="transcendental",
            depth=15,
        )
        for reduction in REDUCTIONS
    ),
    *(
        Case(
            f"bce_with_logits-weighted-{reduction}",
            lambda x, t, w, p, reduction=reduction: loss.binary_cross_entropy_with_logits(
                x, t, w, pos_weight=p, reduction=reduction
            ),
            lambda x, t, w, p, reduction=reduction: ref.bce_with_logits(x, t, w, reduction, p),
            _with(_with(_logits_and_probabilities, (3, 1)), (5,)),
            tolerance="transcendental",
            depth=15,
        )
        for reduction in REDUCTIONS
    ),
    *(
        _class_case(op, shape, weighted, reduction=reduction)
        for op in ("cross_entropy", "nll_loss")
        for shape, weighted in (((5, 4), False), ((5, 4), True), ((2, 4, 3), True), ((4,), True))
        for reduction in REDUCTIONS
    ),
    *(
        _class_case("cross_entropy", shape, weighted, reduction=reduction, label_smoothing=0.1)
        for shape, weighted in (((5, 4), False), ((5, 4), True), ((2, 4, 3), True))
        for reduction in REDUCTIONS
    ),
    _class_case("cross_entropy", (2, 4, 70), False, reduction="mean", ignore_index=1),
    _class_case("nll_loss", (2, 4, 70), False, reduction="mean", ignore_index=1),
    *(_soft_case(reduction, weighted=False, smoothing=0.0) for reduction in REDUCTIONS),
    *(_soft_case(reduction, weighted=True, smoothing=0.2) for reduction in REDUCTIONS),
]


class TestCases(CaseTests):
    pass


def _floats(*shape: int, dtype: Any = np.float32) -> Tensor:
    return Tensor(np.random.default_rng(5).standard_normal(shape).astype(dtype))


def test_reduction_over_many_elements_keeps_its_digits() -> None:
    x = np.full(3_000_001, 1.1, np.float32)
    got = loss.mse_loss(Tensor(x), Tensor(np.zeros_like(x))).item()
    assert got == np.float32(np.float64(x[0]) ** 2)


def test_large_logits() -> None:
    x = Tensor(np.array([[1e4, 0, 1e4 + 1], [-1e4, 0, 3e38]], np.float32), requires_grad=True)
    y = loss_class.cross_entropy(x, Tensor(np.array([0, 2])), reduction="none")
    np.testing.assert_allclose(y.detach().numpy(), [math.log(1 + math.e), 0], rtol=1e-6)
    (dx,) = grad(y, x, Tensor(np.ones(2, np.float32)))
    low = 1 / (1 + math.e)
    np.testing.assert_allclose(dx.numpy(), [[low - 1, 0, 1 - low], [0, 0, 0]], atol=1e-6)
    logits = Tensor(np.array([100.0, -100.0, 1000.0], np.float32))
    bce = loss.binary_cross_entropy_with_logits(
        logits, Tensor(np.array([0.0, 1.0, 1.0], np.float32)), reduction="none"
    )
    np.testing.assert_allclose(bce.numpy(), [100, 100, 0], rtol=1e-6)


def test_impossible_class_with_no_share_is_silent() -> None:
    x = np.array([[0.0, -math.inf, 0.0]])
    for target in (np.array([0]), np.array([[1.0, 0.0, 0.0]])):
        logits = Tensor(x, requires_grad=True)
        y = loss_class.cross_entropy(logits, Tensor(target))
        assert y.item() == pytest.approx(math.log(2))
        np.testing.assert_allclose(grad(y, logits)[0].numpy(), [[-0.5, 0, 0.5]])


def test_bce_of_certain_answers_is_finite() -> None:
    x = Tensor(np.array([0.0, 1.0, 0.0, 1.0]), requires_grad=True)
    y = loss.binary_cross_entropy(x, Tensor(np.array([0.0, 1.0, 1.0, 0.0])), reduction="none")
    np.testing.assert_array_equal(y.detach().numpy(), [0, 0, 100, 100])
    (dx,) = grad(y, x, Tensor(np.ones(4)))
    np.testing.assert_array_equal(dx.numpy(), [0, 0, -1e12, 1e12])


def test_kl_div_of_zero_probability() -> None:
    y = loss.kl_div(_floats(3), Tensor(np.zeros(3, np.float32)), reduction="none")
    np.testing.assert_array_equal(y.numpy(), np.zeros(3))


@pytest.mark.parametrize("op", [loss_class.cross_entropy, loss_class.nll_loss])
def test_everything_ignored(op: Any) -> None:
    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    target = Tensor(np.array([-100, -100]))
    assert math.isnan(op(x, target).item())
    assert op(x, target, reduction="sum").item() == 0
    np.testing.assert_array_equal(grad(op(x, target), x)[0].numpy(), np.zeros((2, 3)))


def test_empty() -> None:
    none = Tensor(np.zeros((0, 3), np.float32))
    no_class = Tensor(np.zeros(0, np.int64))
    for value in (
        loss.mse_loss(none, none),
        loss_class.cross_entropy(none, no_class),
        loss_class.nll_loss(none, no_class),
        loss_class.cross_entropy(none, none),
    ):
        assert math.isnan(value.item())
    assert loss.mse_loss(none, none, reduction="sum").item() == 0
    assert loss_class.cross_entropy(none, no_class, reduction="sum").item() == 0
    assert loss_class.cross_entropy(none, no_class, reduction="none").shape == (0,)


def test_nan_shows() -> None:
    x = Tensor(np.array([math.nan, 0.5]))
    for op in (
        *(loss.mse_loss, loss.l1_loss, loss.huber_loss, loss.smooth_l1_loss),
        *(loss.binary_cross_entropy, loss.binary_cross_entropy_with_logits, loss.kl_div),
    ):
        assert math.isnan(op(x, Tensor(np.array([0.5, 0.5]))).item()), op.__name__
    assert math.isnan(loss_class.cross_entropy(x, Tensor(np.array(1))).item())


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_narrow_class_indices(dtype: Any) -> None:
    x = _floats(3, 4)
    target = np.array([1, 0, 3])
    expected = loss_class.cross_entropy(x, Tensor(target)).item()
    assert loss_class.cross_entropy(x, Tensor(target.astype(dtype))).item() == expected


def test_unused_target_class_of_weight_zero() -> None:
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    weight = Tensor(np.array([0.0, 1.0, 1.0]))
    y = loss_class.cross_entropy(x, Tensor(np.array([0, 1])), weight)
    assert y.item() == pytest.approx(math.log(3))
    np.testing.assert_array_equal(grad(y, x)[0].numpy()[0], np.zeros(3))


POINTWISE = [
    *(loss.mse_loss, loss.l1_loss, loss.huber_loss, loss.smooth_l1_loss, loss.kl_div),
    *(loss.binary_cross_entropy, loss.binary_cross_entropy_with_logits),
]


@pytest.mark.parametrize("op", POINTWISE)
def test_pointwise_errors(op: Any) -> None:
    name = op.__name__
    column, row = Tensor(np.full((3, 1), 0.5, np.float32)), Tensor(np.full(3, 0.5, np.float32))
    with pytest.raises(ValueError, match=rf"{name}: input has shape \(3, 1\) and target \(3,\)"):
        op(column, row)
    with pytest.raises(TypeError, match=f"{name}: target is float64, expected float32"):
        op(row, Tensor(np.full(3, 0.5)))
    with pytest.raises(TypeError, match=f"{name}: input is int64, expected a floating"):
        op(Tensor(np.zeros(3, np.int64)), Tensor(np.zeros(3, np.int64)))
    for reduction in ("avg", None, False):
        with pytest.raises(ValueError, match=f"{name}: reduction is '{reduction}'"):
            op(row, row, reduction=reduction)
    with pytest.raises(TypeError, match=f"{name}: target is a float, expected a tensor"):
        op(row, 0.5)


@pytest.mark.parametrize("op", [loss_class.cross_entropy, loss_class.nll_loss])
def test_class_errors(op: Any) -> None:
    name = op.__name__
    x, target = _floats(2, 3), Tensor(np.array([0, 2]))
    for bad in (3, -1, 2**62, -(2**63)):
        with pytest.raises(IndexError, match=rf"{name}: target is {bad} at position 1, .* 0 to 2"):
            op(x, Tensor(np.array([0, bad])))
    with pytest.raises(ValueError, match=rf"{name}: input has shape \(2, 3\) and target \(3,\)"):
        op(x, Tensor(np.array([0, 1, 2])))
    with pytest.raises(ValueError, match=rf"{name}: input has shape \(2, 3\) and target \(2, 1\)"):
        op(x, Tensor(np.array([[0], [1]])))
    with pytest.raises(TypeError, match=f"{name}: target is bool"):
        op(x, Tensor(np.array([True, False])))
    with pytest.raises(TypeError, match=f"{name}: target is a list"):
        op(x, [0, 1])
    with pytest.raises(ValueError, match=f"{name}: reduction is 'batchmean'"):
        op(x, target, reduction="batchmean")
    with pytest.raises(ValueError, match=rf"{name}: weight has shape \(2,\), expected \(3,\)"):
        op(x, target, _floats(2))
    with pytest.raises(TypeError, match=f"{name}: weight is float64"):
        op(x, target, _floats(3, dtype=np.float64))
    with pytest.raises(ValueError, match="weight requires a gradient"):
        op(x, target, _floats(3).requires_grad_())
    with pytest.raises(ValueError, match=r"input has shape \(\)"):
        op(Tensor(np.array(1.0)), Tensor(np.array(0)))


def test_option_errors() -> None:
    x, target = _floats(2, 3), Tensor(np.array([0, 2]))
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.5"):
        loss_class.cross_entropy(x, target, label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.5"):
        loss_class.cross_entropy(x, x, label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"input has shape \(2, 3\) and target \(2,\)"):
        loss_class.cross_entropy(x, _floats(2))
    with pytest.raises(TypeError, match="target is float64"):
        loss_class.cross_entropy(x, _floats(2, 3, dtype=np.float64))
    with pytest.raises(ValueError, match="ignore_index is 1"):
        loss_class.cross_entropy(x, x, ignore_index=1)
    with pytest.raises(TypeError, match="ignore_index is a float, expected an int"):
        loss_class.cross_entropy(x, target, ignore_index=1.0)
    with pytest.raises(TypeError, match="delta is a NoneType, expected a number"):
        loss.huber_loss(x, x, delta=None)
    with pytest.raises(ValueError, match="delta is 0"):
        loss.huber_loss(x, x, delta=0.0)
    with pytest.raises(ValueError, match="beta is -1"):
        loss.smooth_l1_loss(x, x, beta=-1.0)
    with pytest.raises(ValueError, match=r"input is 1\.5 at element 1, expected probabilities"):
        loss.binary_cross_entropy(Tensor(np.array([0.5, 1.5])), Tensor(np.array([0.0, 1.0])))
    with pytest.raises(ValueError, match=r"weight of shape \(2,\) does not broadcast"):
        loss.binary_cross_entropy_with_logits(x, x, _floats(2))
    with pytest.raises(ValueError, match="pos_weight of shape"):
        loss.binary_cross_entropy_with_logits(x, x, pos_weight=_floats(4, 2, 3))


def test_bfloat16_mean_is_rounded_once() -> None:
    x = _floats(1000, dtype=ml_dtypes.bfloat16)
    target = Tensor(np.zeros(1000, ml_dtypes.bfloat16))
    expected = np.mean(x.numpy().astype(np.float64) ** 2)
    assert loss.mse_loss(x, target).numpy() == np.asarray(expected).astype(ml_dtypes.bfloat16)
