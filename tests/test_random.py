# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradsmith as gs
from gradsmith import _cpu
from gradsmith.ops import random
from gradsmith.random import default_generator
from gradsmith.tensor import Tensor
from tests.cases import ISAS, Case, CaseTests, isa_cap, threads
from tests.reference import random as ref

SEED = 11


def seeded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run with the default generator at the start of stream SEED."""

    def call(*args: Any) -> Any:
        gs.manual_seed(SEED)
        return function(*args)

    return call


def channels(x: np.ndarray, p: float, positions: int) -> np.ndarray:
    """Scale of whole channels, as `ref.dropout` gives it for elements."""
    kept = ref.dropout(np.ones(x.shape[:-positions]), p, SEED, 0)
    return kept.reshape(*kept.shape, *[1] * positions)


def alpha(x: np.ndarray, p: float) -> np.ndarray:
    limit = -1.0507009873554805 * 1.6732632423543772
    kept = ref.uniform(SEED, 0, x.size).reshape(x.shape) >= p
    scale = 1 / math.sqrt((1 - p) * (1 + p * limit**2))
    return scale * np.where(kept, x, limit) - scale * limit * p


CASES = [
    Case(
        "dropout",
        seeded(lambda x: random.dropout(x, 0.3)),
        lambda x: ref.dropout(x, 0.3, SEED, 0),
        lambda rng: (rng.standard_normal((5, 7)),),
        lambda dy, x: ref.dropout_backward(dy, 0.3, SEED, 0),
    ),
    Case(
        "dropout1d",
        seeded(lambda x: random.dropout1d(x, 0.5)),
        lambda x: x * channels(x, 0.5, 1),
        lambda rng: (rng.standard_normal((4, 5, 3)),),
        lambda dy, x: dy * channels(x, 0.5, 1),
    ),
    Case(
        "dropout2d",
        seeded(lambda x: random.dropout2d(x, 0.25)),
        lambda x: x * channels(x, 0.25, 2),
        lambda rng: (rng.standard_normal((2, 5, 3, 2)),),
        lambda dy, x: dy * channels(x, 0.25, 2),
    ),
    Case(
        "dropout3d",
        seeded(lambda x: random.dropout3d(x, 0.5)),
        lambda x: x * channels(x, 0.5, 3),
        lambda rng: (rng.standard_normal((6, 2, 3, 2)),),
        lambda dy, x: dy * channels(x, 0.5, 3),
    ),
    Case(
        "alpha_dropout",
        seeded(lambda x: random.alpha_dropout(x, 0.4, True)),
        lambda x: alpha(x, 0.4),
        lambda rng: (rng.standard_normal((5, 4)),),
        # bfloat16 rounds the draws, so that one close to p may fall on its other side.
        dtypes=("float32", "float64"),
    ),
]


class TestCases(CaseTests):
    pass


# ---- the stream ----------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 3, 2**34 + 1])
def test_draws_follow_the_definition(offset: int) -> None:
    for seed in (0, 5, 2**63 + 7):
        array = np.empty(103)
        _cpu.random_uniform(array, seed, offset, 0.0, 1.0, "rand")
        np.testing.assert_array_equal(array, ref.uniform(seed, offset, 103))
        _cpu.random_normal(array, seed, offset, 0.0, 1.0, "randn")
        np.testing.assert_allclose(array, ref.normal(seed, offset, 103), rtol=1e-6, atol=1e-7)


DRAWS: dict[str, Callable[[], Tensor]] = {
    "rand": lambda: gs.rand(300, 501),
    "randn": lambda: gs.randn(300, 501),
    "randint": lambda: gs.randint(-5, 2**40, (300, 501)),
    "randperm": lambda: gs.randperm(100001),
    "bernoulli": lambda: gs.bernoulli(gs.full((300, 501), 0.3)),
    "multinomial": lambda: gs.multinomial(gs.rand(7, 100) + 0.1, 50),
    "replacement": lambda: gs.multinomial(gs.rand(7, 100) + 0.1, 500, replacement=True),
    "dropout": lambda: random.dropout(gs.rand(300, 501) + 1, 0.2),
    "uniform_": lambda: gs.zeros(300, 501).uniform_(-2, 3),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_gives_the_same_numbers_for_any_thread_count(name: str) -> None:
    bits = set()
    for count in (1, 2, 7):
        with threads(count):
            gs.manual_seed(4)
            DRAWS[name]()
            bits.add(DRAWS[name]().numpy().tobytes())
    assert len(bits) == 1
    gs.manual_seed(5)
    DRAWS[name]()
    assert DRAWS[name]().numpy().tobytes() not in bits


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("offset", [0, 1, 6, 2**34 - 9])
def test_every_isa_draws_the_same_numbers(offset: int, dtype: str) -> None:
    """Bit for bit; normal numbers but for the last bit, and hardly ever that."""
    n = 5003
    kind = gs.zeros(1, dtype=dtype).numpy().dtype
    x = gs.rand(n).numpy().astype(kind)
    bits: dict[str, set[bytes]] = {}
    normals = []
    for isa in ISAS:
        with isa_cap(isa):
            out = np.empty(n, kind)
            for low, high in ((0.0, 1.0), (-3.0, -2.9), (2.0, 2.0)):
                _cpu.random_uniform(out, 7, offset, low, high, "rand")
                bits.setdefault(f"uniform {low}", set()).add(out.tobytes())
            _cpu.random_bernoulli(out, 0.37, 7, offset)
            bits.setdefault("bernoulli", set()).add(out.tobytes())
            for p in (0.25, 0.3, 1.0):
                dropped = _cpu.dropout(x, p, 1, 7, offset, "dropout")
                bits.setdefault(f"dropout {p}", set()).add(dropped.tobytes())
            drawn = _cpu.random_integers((n,), 7, offset, -5, 2**40, "randint")
            bits.setdefault("integers", set()).add(drawn.tobytes())
            _cpu.random_normal(out, 7, offset, 1.0, 2.0, "randn")
            normals.append(out.astype(np.float64))
    assert {name: len(each) for name, each in bits.items()} == dict.fromkeys(bits, 1)
    for other in normals[1:]:
        assert np.mean(other != normals[0]) < 0.01
        np.testing.assert_allclose(other, normals[0], rtol=1e-2, atol=3e-7)


def test_pieces_continue_the_stream() -> None:
    gs.manual_seed(1)
    whole = gs.rand(24).numpy()
    gs.manual_seed(1)
    pieces = np.concatenate([gs.rand(8).numpy(), gs.rand(16).numpy()])
    np.testing.assert_array_equal(whole, pieces)


def test_generators_are_independent_and_resume() -> None:
    gs.manual_seed(9)
    first = gs.Generator().manual_seed(9)
    a = gs.randn(5, generator=first)
    gs.randint(0, 9, (3,), generator=first)
    state = first.get_state()
    b = gs.rand(6, generator=first)
    np.testing.assert_array_equal(gs.randn(5).numpy(), a.numpy())
    other = gs.Generator().set_state(state)
    np.testing.assert_array_equal(gs.rand(6, generator=other).numpy(), b.numpy())
    assert first.initial_seed() == 9
    kept = gs.get_rng_state()
    c = gs.randperm(20)
    gs.set_rng_state(kept)
    np.testing.assert_array_equal(gs.randperm(20).numpy(), c.numpy())
    assert gs.seed() == gs.initial_seed()
    gs.manual_seed(-1)
    assert gs.initial_seed() == 2**64 - 1


def test_no_word_is_used_twice() -> None:
    gs.manual_seed(0)
    before = default_generator.take(0)[1]
    gs.rand(5)
    gs.randint(0, 10, (3,))
    gs.randn(2)
    assert default_generator.take(0)[1] - before == 8 + 8 + 4
    assert default_generator.take_integers(1)[1] * 2 == before + 20


# ---- distributions -------------------------------------------------------------------------------


def test_moments() -> None:
    gs.manual_seed(0)
    n = 200_000
    u = gs.rand(n).numpy().astype(np.float64)
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 5 / math.sqrt(12 * n)
    z = gs.normal(2.0, 3.0, (n,)).numpy().astype(np.float64)
    assert abs(z.mean() - 2) < 15 / math.sqrt(n)
    assert abs(z.std() - 3) < 15 / math.sqrt(2 * n)
    k = gs.randint(-3, 7, (n,)).numpy()
    counts = np.bincount(k + 3, minlength=10)
    assert counts.shape == (10,)
    assert (np.abs(counts - n / 10) < 5 * math.sqrt(n * 0.09)).all()
    b = gs.bernoulli(gs.full((n,), 0.2)).numpy()
    assert set(np.unique(b)) == {0, 1}
    assert abs(b.mean() - 0.2) < 5 * math.sqrt(0.16 / n)


def test_uniform_excludes_its_upper_end_in_every_dtype() -> None:
    for dtype in ("float32", "float64", "bfloat16", "float16"):
        for low, high in ((0.0, 1.0), (-1.0, 0.0), (2.0, 3.0), (-3.0, -2.0)):
            gs.manual_seed(0)
            x = gs.zeros(100_000, dtype=dtype).uniform_(low, high).numpy().astype(np.float64)
            assert x.min() >= low
            assert x.max() < high


def test_permutations_are_uniform() -> None:
    gs.manual_seed(0)
    seen: dict[tuple[int, ...], int] = {}
    for _ in range(6000):
        order = tuple(gs.randperm(4).tolist())
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    assert all(abs(count - 250) < 5 * math.sqrt(250) for count in seen.values())
    assert sorted(gs.randperm(1000).tolist()) == list(range(1000))
    assert gs.randperm(0).shape == (0,)
    assert gs.randperm(5, dtype="int32").dtype == np.int32


def test_multinomial_follows_the_weights() -> None:
    gs.manual_seed(0)
    weights = gs.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 2.0]])
    drawn = gs.multinomial(weights, 40_000, replacement=True).numpy()
    share = np.bincount(drawn[0], minlength=3) / 40_000
    np.testing.assert_allclose(share, [0.25, 0, 0.75], atol=0.015)
    assert set(drawn[1]) == {1, 2}
    first = np.array([gs.multinomial(weights[0], 2).numpy() for _ in range(4000)])
    assert (np.sort(first, axis=1) == [0, 2]).all()
    assert abs((first[:, 0] == 0).mean() - 0.25) < 0.04


def test_normal_of_tensors() -> None:
    gs.manual_seed(2)
    mean = gs.tensor([0.0, 100.0])
    x = gs.normal(mean, gs.tensor([[0.0], [1.0]]))
    np.testing.assert_array_equal(x.numpy()[0], [0, 100])
    assert abs(x.numpy()[1, 1] - 100) < 6
    assert gs.normal(mean).shape == (2,)
    assert gs.normal(0.0, gs.ones(3)).shape == (3,)


def test_shapes_dtypes_and_gradients() -> None:
    assert gs.rand(2, 3).dtype == np.float32
    assert gs.rand((2, 3), dtype="float64").shape == (2, 3)
    assert gs.randn(4, dtype="bfloat16").dtype == ml_dtypes.bfloat16
    assert gs.rand(3, requires_grad=True).requires_grad
    assert gs.rand(()).shape == ()
    assert gs.rand(0, 3).shape == (0, 3)
    assert gs.randint(5, (2,)).dtype == np.int64
    assert gs.randint(0, 5, (2, 2), dtype="uint8").dtype == np.uint8
    x = gs.zeros(2, 3, dtype="float64")
    assert gs.rand_like(x).dtype == gs.randn_like(x).dtype == np.float64
    assert gs.randint_like(x, 3).dtype == np.float64
    assert gs.bernoulli(x, 1.0).numpy().all()


def test_dropout_in_evaluation_and_at_the_ends() -> None:
    x = gs.rand(5, 4, requires_grad=True)
    assert random.dropout(x, 0.5, training=False) is x
    assert random.dropout(x, 0.0) is x
    assert random.alpha_dropout(x) is x
    assert not random.dropout(x, 1.0).detach().numpy().any()
    y = random.dropout(x + 1, 0.5)
    (dx,) = gs.autograd.grad(y.sum(), x)
    np.testing.assert_array_equal(dx.numpy() != 0, y.detach().numpy() != 0)
    assert random.dropout(gs.zeros(0, 3), 0.5).shape == (0, 3)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    gs.manual_seed(0)
    y = random.alpha_dropout(gs.randn(100_000), 0.3, training=True).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02


X = gs.zeros(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gs.rand(-1), ValueError, "rand.*negative|negative"),
        (lambda: gs.rand(2**40, 2**40), MemoryError, "memory"),
        (lambda: gs.rand(2, dtype="int64"), TypeError, "rand: dtype is int64"),
        (lambda: gs.rand(2.5), TypeError, "size"),
        (lambda: gs.rand(2, device="tpu"), ValueError, "tpu"),
        (lambda: gs.rand(2, generator=3), TypeError, "generator is a int"),
        (lambda: gs.randint(5, 5, (2,)), ValueError, "low is 5 and high is 5"),
        (lambda: gs.randint(0, 300, (2,), dtype="uint8"), ValueError, "fit in uint8"),
        (lambda: gs.randint(0, 2**70, (2,)), ValueError, "int64"),
        (lambda: gs.randint(0.0, 2, (2,)), TypeError, "low is a float"),
        (lambda: gs.randint(3), TypeError, "randint"),
        (lambda: gs.randperm(-1), ValueError, "n is -1"),
        (lambda: gs.randperm(2.0), TypeError, "n is a float"),
        (lambda: gs.normal(0.0, -1.0, (2,)), ValueError, "std is -1"),
        (lambda: gs.normal(0.0, 1.0), ValueError, "size is missing"),
        (lambda: gs.normal(X, gs.full((2, 3), -1.0)), ValueError, "std holds -1"),
        (lambda: gs.bernoulli(gs.full((2,), 1.5)), ValueError, "probability 1.5"),
        (lambda: gs.bernoulli(gs.full((2,), math.nan)), ValueError, "probability"),
        (lambda: gs.bernoulli(X, -0.1), ValueError, "p is -0.1"),
        (lambda: gs.bernoulli(gs.zeros(2, dtype="int64")), TypeError, "int64"),
        (lambda: gs.multinomial(X, 1), ValueError, "row 0 add up to 0"),
        (lambda: gs.multinomial(X - 1, 1), ValueError, "weight -1"),
        (lambda: gs.multinomial(X + math.nan, 1), ValueError, "weight"),
        (lambda: gs.multinomial(X + 1, 4), ValueError, "num_samples is 4"),
        (lambda: gs.multinomial(gs.tensor([1.0, 0.0]), 2), ValueError, "1 categories"),
        (lambda: gs.multinomial(X, 0), ValueError, "num_samples is 0"),
        (lambda: gs.multinomial(gs.zeros(2, 2, 2), 1), ValueError, "1 or 2 dimensions"),
        (lambda: X.uniform_(1.0, 0.0), ValueError, "low is 1.0 and high is 0.0"),
        (lambda: X.uniform_(0.0, 1e300), ValueError, "not finite in float32"),
        (lambda: X.normal_(math.nan), ValueError, "not finite"),
        (lambda: X.normal_(0.0, -1.0), ValueError, "std is -1"),
        (lambda: X.bernoulli_(2.0), ValueError, "p is 2"),
        (lambda: random.dropout(X, 1.5), ValueError, "dropout: p is 1.5"),
        (lambda: random.dropout(X, "a"), TypeError, "p is a str"),
        (lambda: random.dropout(gs.zeros(2, dtype="int64")), TypeError, "input is int64"),
        (lambda: random.dropout2d(X, 0.5), ValueError, "dropout2d: input has shape"),
        (lambda: gs.manual_seed("a"), TypeError, "seed is a str"),
        (lambda: gs.manual_seed(2**64), ValueError, "seed is"),
        (lambda: gs.set_rng_state(X), TypeError, "uint8"),
        (lambda: gs.set_rng_state(gs.zeros(3, dtype="uint8")), ValueError, "shape"),
    ],
)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
