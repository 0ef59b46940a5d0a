# SPDX-License-Identifier: Apache-2.0
"""Connectionist temporal classification: lengths, repeats, blanks, impossible alignments."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import _cpu
from gradsmith.autograd import grad
from gradsmith.tensor import Tensor
from tests.cases import ISAS, NUMPY_DTYPES, Case, CaseTests, backend, threads
from tests.loss_cases import composed
from tests.reference import loss_ctc as ref
from tests.reference.softmax import log_softmax
from tests.simulator import TOLERANCES, assert_parity, assert_same_refusal, needs_simulator
from tests.tolerance import assert_close

LABELS, STEPS, LENGTHS = np.array([[1, 1], [2, 1]]), np.array([4, 3]), np.array([2, 1])
# Repeats, no label, no step, neither, labels without room for more than themselves, another blank.
EDGES = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]])
EDGE_STEPS, EDGE_LENGTHS = np.array([5, 3, 0, 4, 3]), np.array([3, 0, 0, 1, 3])


def _frames(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return (rng.standard_normal((4, 2, 3)),)


def _ctc(x: Tensor, reduction: str) -> Tensor:
    labels = gs.tensor(LABELS).to(x.device)
    return F.ctc_loss(F.log_softmax(x, 2), labels, STEPS, LENGTHS, reduction=reduction)


def _ctc_reference(x: np.ndarray, reduction: str) -> np.ndarray:
    return ref.ctc(log_softmax(x, 2), LABELS, STEPS, LENGTHS, reduction=reduction)


def _edges(x: Tensor) -> Tensor:
    labels = gs.tensor(EDGES).to(x.device)
    return F.ctc_loss(F.log_softmax(x, 2), labels, EDGE_STEPS, EDGE_LENGTHS, 2, "none")


def _edges_reference(x: np.ndarray) -> np.ndarray:
    return ref.ctc(log_softmax(x, 2), EDGES, EDGE_STEPS, EDGE_LENGTHS, 2, "none")


CASES = [
    *(
        composed("ctc", _ctc, _ctc_reference, _frames, reduction=reduction)
        for reduction in ("none", "mean")
    ),
    Case(
        "ctc-edges",
        _edges,
        _edges_reference,
        lambda rng: (rng.standard_normal((5, 5, 3)),),
        partial(
            ref.ctc_of_logits_backward,
            labels=EDGES,
            steps=EDGE_STEPS,
            lengths=EDGE_LENGTHS,
            blank=2,
        ),
        tolerance="transcendental",
        depth=15,
    ),
]


class TestCases(CaseTests):
    pass


def test_by_hand() -> None:
    """Two steps of even chances for the label 1: paths -1, 1-, 11 of four."""
    log_probs = gs.full((2, 1, 2), 0.5).log()
    y = F.ctc_loss(log_probs, gs.tensor([[1]]), [2], [1])
    assert y.item() == pytest.approx(-math.log(0.75))


# ---- sequences that the Cases are too small for --------------------------------------------------


def long_ones(steps: int, most: int, classes: int, spread: float = 1.0) -> list[Any]:
    """Return log-probabilities of four sequences, labels and lengths, as the kernels take them."""
    rng = np.random.default_rng(steps)
    x = log_softmax(spread * rng.standard_normal((steps, 4, classes)), 2)
    labels = rng.integers(1, classes, (4, most))
    return [x, labels, np.array([steps, steps, steps - 7, 3]), np.array([most, 5, 0, 1])]


def both_passes(extension: Any, given: list[Any], dy: Any) -> tuple[Any, Any]:
    y, alpha = extension.ctc_loss_forward(*given, 0)
    return y, extension.ctc_loss_backward(*given, 0, alpha, dy)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("spread", [1.0, 300.0])
def test_long_sequences(spread: float, dtype: str, isa: str) -> None:
    """With the wide spread, what a step allows is beyond the range of any dtype."""
    x, labels, steps, lengths = long_ones(90, 37, 23, spread)
    x, dy = x.astype(NUMPY_DTYPES[dtype]), np.array([1, 0.5, -2, 1]).astype(NUMPY_DTYPES[dtype])
    with backend(isa):
        y, dx = both_passes(_cpu, [x, labels, steps, lengths], dy)
    for n, (time, length) in enumerate(zip(steps, lengths, strict=True)):
        wide = x[:time, n].astype(np.float64)
        loss, shares = ref.ctc_by_places(wide, labels[n, :length])
        assert_close(y[n], loss, dtype, "transcendental")
        expected = np.zeros(x[:, n].shape)
        expected[:time] = float(dy[n]) * (np.exp(wide) - shares)
        # Where the spread is wide, ways apart by 1 are differences of numbers in the thousands.
        depth = 90 * 23 if spread == 1 else int((90 * spread) ** 2)
        assert_close(dx[:, n], expected, dtype, "transcendental", depth)


def test_same_bits_for_any_thread_count() -> None:
    given = long_ones(300, 40, 11)
    given[0] = given[0].astype(np.float32)
    results = []
    for count in (1, 2, 7):
        with threads(count):
            results.append([each.tobytes() for each in both_passes(_cpu, given, np.ones(4, "f4"))])
    assert results[0] == results[1] == results[2]


@needs_simulator
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_simulator(dtype: Any) -> None:
    """More places than a block has threads."""
    x, *given = long_ones(72, 70, 9)

    def call(m: Any, place: Any) -> tuple[Any, ...]:
        arrays = [place(x.astype(dtype)), *map(place, given)]
        return both_passes(m, arrays, place(np.array([1, 0.5, -2, 1], dtype)))

    assert_parity(call, 10 * TOLERANCES[dtype])


# ---- edges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
def test_impossible_alignments_have_finite_gradients(isa: str) -> None:
    """Those of the first term alone, and none with zero_infinity."""
    x = np.log(np.array([[[0.25, 0.75]], [[0.5, 0.5]], [[0.5, 0.5]]]))
    for zero_infinity in (False, True):
        leaf = gs.tensor(x, requires_grad=True)
        with backend(isa):
            y = F.ctc_loss(leaf, gs.tensor([[1, 1]]), [2], [2], zero_infinity=zero_infinity)
            y.backward()
        assert y.item() == (0 if zero_infinity else math.inf)
        assert leaf.grad is not None
        want = np.exp(x) / 2 * np.array([1, 1, 0]).reshape(3, 1, 1)
        np.testing.assert_allclose(leaf.grad.numpy(), 0 if zero_infinity else want)


@pytest.mark.parametrize("isa", ISAS)
def test_classes_without_chance_and_no_numbers(isa: str) -> None:
    """The first sequence has but one way; the second has a NaN and keeps it to itself."""
    x = np.full((3, 2, 3), -math.inf, np.float32)
    x[[0, 1, 2], 0, [1, 0, 1]] = 0
    x[:, 1] = math.nan
    with backend(isa):
        y, dx = both_passes(
            _cpu,
            [x, np.array([[1, 1], [1, 2]]), np.array([3, 3]), np.array([2, 2])],
            np.ones(2, np.float32),
        )
    assert y[0] == 0
    assert math.isnan(y[1])
    np.testing.assert_allclose(dx[:, 0], 0, atol=1e-7)


def test_gradients_agree_with_those_of_create_graph() -> None:
    """Also those of log-probabilities that are none, and of a label that is the blank."""
    x = gs.tensor(np.random.default_rng(0).standard_normal((5, 3, 4)), requires_grad=True)
    labels = gs.tensor([[1, 1], [0, 2], [3, 1]])
    y = F.ctc_loss(x, labels, [5, 4, 1], [2, 2, 2], reduction="none")
    dy = gs.tensor([1.0, -2.0, 0.5]).double()
    plain = grad(y, x, dy, retain_graph=True)[0]
    recorded = grad(y, x, dy, create_graph=True)[0]
    np.testing.assert_allclose(plain.numpy(), recorded.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_nothing() -> None:
    none = gs.zeros(0, 2, dtype=gs.int64)
    assert F.ctc_loss(gs.zeros(3, 0, 4), none, [], [], reduction="none").shape == (0,)
    x = gs.zeros(0, 2, 4, requires_grad=True)
    y = F.ctc_loss(x, gs.zeros(2, 0, dtype=gs.int64), [0, 0], [0, 0], reduction="none")
    assert y.tolist() == [0, 0]
    y.sum().backward()


# ---- what is refused -----------------------------------------------------------------------------

X = gs.from_numpy(np.log(np.full((4, 2, 3), 1 / 3, np.float32)))
BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "steps": ({"input_lengths": [5, 1]}, ValueError, "input_lengths is 5 at position 0"),
    "lengths": ({"target_lengths": [1, 3]}, ValueError, "target_lengths is 3 at position 1"),
    "negative": ({"target_lengths": [-1, 1]}, ValueError, "target_lengths is -1 at position 0"),
    "count": (
        {"input_lengths": [4]},
        ValueError,
        r"input_lengths has shape \(1,\), expected \(2,\)",
    ),
    "kind": ({"input_lengths": [4.0, 4.0]}, TypeError, "input_lengths is float32"),
    "label": ({"targets": gs.tensor([[1, 3], [1, 1]])}, IndexError, "the label 3, expected 0 to 2"),
    "labels": ({"targets": gs.tensor([[1.0]])}, TypeError, "targets is float32"),
    "packed": ({"targets": gs.tensor([1, 1, 1])}, ValueError, "has 3 labels, but .* add up to 4"),
    "batch": ({"targets": gs.tensor([[1, 1]])}, ValueError, r"targets has shape \(1, 2\)"),
    "blank": ({"blank": 3}, ValueError, "blank is 3, expected 0 to 2"),
    "reduction": ({"reduction": "avg"}, ValueError, "reduction is 'avg'"),
    "flag": ({"zero_infinity": 1}, TypeError, "zero_infinity is a int"),
    "shape": ({"log_probs": X[0, 0]}, ValueError, r"log_probs has shape \(3,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_refusals(name: str) -> None:
    changed, error, message = BAD[name]
    given = {"log_probs": X, "targets": gs.tensor([[1, 2], [2, 1]])}
    given |= {"input_lengths": [4, 4], "target_lengths": [2, 2]}
    with pytest.raises(error, match=f"ctc_loss: .*{message}"):
        F.ctc_loss(**(given | changed))


GIVEN: dict[str, Any] = {
    "log_probs": np.zeros((4, 2, 3), np.float32),
    "targets": np.array([[1, 2], [2, 1]]),
    "input_lengths": np.array([4, 4]),
    "target_lengths": np.array([2, 2]),
    "blank": 0,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"targets": np.array([[1, 3], [2, 1]])},
        {"input_lengths": np.array([4, 5])},
        {"target_lengths": np.array([-1, 2])},
        {"targets": np.array([1, 2])},
        {"blank": 3},
    ],
    ids=lambda changed: next(iter(changed)),
)
@needs_simulator
def test_kernels_refuse_the_same(changed: dict[str, Any]) -> None:
    def call(m: Any, place: Any) -> tuple[Any, ...]:
        given = {
            name: place(value) if isinstance(value, np.ndarray) else value
            for name, value in (GIVEN | changed).items()
        }
        return tuple(m.ctc_loss_forward(**given))

    assert_same_refusal(call)
