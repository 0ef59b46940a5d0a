# SPDX-License-Identifier: Apache-2.0
"""Additive and plain attention, positions as sinusoids, rotations and learned rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn
from gradsmith.nn.utils.rnn import length_mask
from gradsmith.ops.attention_positions import sinusoidal_positions
from tests.cases import Case, CaseTests
from tests.reference import attention as reference

MASK = np.array([[True, True, False, True], [False] * 4])


def operands(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    shapes = ((2, 3, 5), (2, 4, 5), (2, 4, 2))
    return tuple(rng.standard_normal(shape) for shape in shapes)


def rotary_case(interleaved: bool) -> Case:
    return Case(
        f"rotary_embedding_{'interleaved' if interleaved else 'halves'}",
        lambda x: F.rotary_embedding(x, 3, 100.0, interleaved),
        lambda x: reference.rotary_embedding(x, 3, 100.0, interleaved),
        lambda rng: (rng.standard_normal((2, 3, 6)),),
        tolerance="transcendental",
        depth=2,
    )


CASES = [
    Case(
        "additive_attention",
        lambda q, k, v, w: F.additive_attention(q, k, v, w),
        lambda q, k, v, w: reference.additive_attention(q, k, v, w),
        lambda rng: (*operands(rng), rng.standard_normal(5)),
        tolerance="attention",
        depth=5,
    ),
    Case(
        "additive_attention_masked",
        lambda q, k, v, w, mask: F.additive_attention(q, k, v, w, mask),
        lambda q, k, v, w, mask: reference.additive_attention(q, k, v, w, mask),
        lambda rng: (*operands(rng), rng.standard_normal(5), MASK),
        tolerance="attention",
        depth=5,
        layouts=False,  # a mask keeps its shape
    ),
    Case(
        "dot_attention",
        lambda q, k, v, mask: F.dot_attention(q, k, v, mask),
        lambda q, k, v, mask: reference.dot_attention(q, k, v, mask),
        lambda rng: (*operands(rng), rng.random((2, 3, 4)) < 0.7),
        tolerance="attention",
        depth=5,
    ),
    rotary_case(True),
    rotary_case(False),
]


class TestCases(CaseTests):
    pass


# ---- modules -------------------------------------------------------------------------------------


def test_additive_attention_module() -> None:
    module = nn.AdditiveAttention(4, 6, 8)
    names = ["weight", "query_proj.weight", "key_proj.weight", "key_proj.bias"]
    assert list(module.state_dict()) == names
    query, key = gs.randn(2, 4), gs.randn(2, 5, 6)
    mask = length_mask(gs.tensor([5, 2]))
    context, weights = module(query, key, mask=mask)
    q, k = (each.detach().numpy() for each in (module.query_proj(query), module.key_proj(key)))
    w = module.weight.detach().numpy()
    want, p = reference.additive_attention(q[:, None], k, key.numpy(), w, mask.numpy())
    np.testing.assert_allclose(context.detach().numpy(), want[:, 0], atol=1e-5)
    np.testing.assert_allclose(weights.detach().numpy(), p[:, 0], atol=1e-5)
    assert weights[1, 2:].tolist() == [0.0] * 3
    values = gs.randn(2, 5, 3)
    assert module(gs.randn(2, 7, 4), key, values)[0].shape == (2, 7, 3)


def test_dot_attention_module() -> None:
    query, key = gs.randn(2, 3, 4), gs.randn(2, 5, 6)
    general = nn.DotAttention("general", 4, 6)
    context, _ = general(query, key)
    w = general.weight.detach().numpy()
    want, _ = reference.dot_attention(query.numpy() @ w, key.numpy(), key.numpy())
    np.testing.assert_allclose(context.detach().numpy(), want, atol=1e-5)
    plain = nn.DotAttention()
    assert list(plain.state_dict()) == []
    _, weights = plain(query[:, 0], gs.randn(2, 5, 4))
    np.testing.assert_allclose(weights.sum(1).numpy(), 1.0, rtol=1e-6)
    assert repr(general) == "DotAttention(score='general')"


def test_sinusoids() -> None:
    table = sinusoidal_positions(6, 5).numpy()
    position, pair = np.arange(6)[:, None], np.arange(5) // 2
    angles = position / 10000 ** (2 * pair / 5)
    want = np.where(np.arange(5) % 2 == 0, np.sin(angles), np.cos(angles))
    np.testing.assert_allclose(table, want, atol=1e-12)
    module = nn.SinusoidalPositionalEncoding(5, max_len=6)
    assert list(module.state_dict()) == []
    got = module(gs.zeros(4, 2, 5))
    np.testing.assert_allclose(got[:, 1].numpy(), want[:4], atol=1e-6)
    batch_first = nn.SinusoidalPositionalEncoding(5, batch_first=True)(gs.zeros(2, 4, 5))
    assert batch_first[1].tolist() == got[:, 1].tolist()
    assert module.double()(gs.zeros(4, 5, dtype=gs.float64)).dtype == gs.float64


def test_learned_positions() -> None:
    module = nn.LearnedPositionalEncoding(4, 6, batch_first=True)
    assert list(module.state_dict()) == ["weight"]
    assert 0 < module.weight.detach().abs().max().item() < 0.2
    y = module(gs.zeros(3, 5, 4))
    y.sum().backward()
    assert y[2].tolist() == module.weight[:5].tolist()
    assert module.weight.grad.tolist() == [[3.0] * 4] * 5 + [[0.0] * 4]
    gs.manual_seed(0)
    dropped = nn.LearnedPositionalEncoding(4, 6, dropout=0.5)(gs.ones(6, 4))
    assert (dropped == 0).any()


def test_rotations_depend_on_distances() -> None:
    rotary = nn.RotaryEmbedding(8)
    q, k = gs.randn(1, 8).expand(6, 8), gs.randn(1, 8).expand(6, 8)
    scores = (rotary(q) @ rotary(k).T).numpy()
    for shift in range(-4, 5):
        diagonal = np.diagonal(scores, shift)
        np.testing.assert_allclose(diagonal, diagonal[0], atol=1e-4)
    later = rotary(q[:3], offset=3)
    np.testing.assert_allclose(later.numpy(), rotary(q)[3:].numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.dot_attention(gs.ones(2, 3, 4), gs.ones(2, 3, 5), gs.ones(2, 3, 5)),
            ValueError,
            r"dot_attention: query has shape \(2, 3, 4\), key \(2, 3, 5\)",
        ),
        (
            lambda: F.additive_attention(*[gs.ones(2, 3, 4)] * 3, gs.ones(3)),
            ValueError,
            r"weight has shape \(3,\), expected \(4,\)",
        ),
        (
            lambda: F.dot_attention(*[gs.ones(2, 3, 4)] * 3, gs.ones(2, 3)),
            TypeError,
            "mask is float32, expected bool",
        ),
        (
            lambda: F.dot_attention(*[gs.ones(2, 3, 4)] * 3, gs.ones(3, 3) > 0),
            ValueError,
            r"mask has shape \(3, 3\), expected \(2, 3\) or \(2, 3, 3\)",
        ),
        (lambda: nn.DotAttention("concat"), ValueError, "'concat' is AdditiveAttention"),
        (lambda: nn.DotAttention("general", 3), ValueError, "key_dim is None, expected"),
        (lambda: nn.AdditiveAttention(0, 1, 1), ValueError, "query_dim is 0"),
        (lambda: nn.RotaryEmbedding(3), ValueError, "dim is 3, expected an even number"),
        (lambda: nn.RotaryEmbedding(4)(gs.ones(2, 6)), ValueError, r"expected \(..., L, 4\)"),
        (lambda: F.rotary_embedding(gs.ones(2, 3)), ValueError, "an even number"),
        (lambda: F.rotary_embedding(gs.ones(2, 4), base=0), ValueError, "base is 0"),
        (lambda: sinusoidal_positions(-1, 4), ValueError, "length is -1"),
        (
            lambda: nn.SinusoidalPositionalEncoding(4, 3)(gs.ones(4, 4)),
            ValueError,
            "SinusoidalPositionalEncoding: input has 4 steps, expected at most max_len 3",
        ),
        (
            lambda: nn.LearnedPositionalEncoding(4, 3)(gs.ones(2, 5)),
            ValueError,
            "the last of size 4",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
