# SPDX-License-Identifier: Apache-2.0
"""MultiheadAttention: names, initialisation, masks, weights, layouts and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith.autograd import gradcheck, gradgradcheck
from gradsmith.backend import float64
from gradsmith.nn.attention import MultiheadAttention
from gradsmith.ops.attention import self_attention
from gradsmith.ops.random import randn
from gradsmith.random import manual_seed
from gradsmith.tensor import Tensor
from tests.reference.attention import attention_weights

EMBED, HEADS, BATCH, QUERIES, KEYS = 8, 2, 3, 4, 5


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tensor(*shape: int, seed: int = 0) -> Tensor:
    return Tensor(array(*shape, seed=seed))


def values_of(parameter: Any) -> np.ndarray:
    return parameter.detach().numpy().astype(np.float64)


def define(
    module: MultiheadAttention, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return output and weights per head for inputs (N, length, E), as the formula says."""
    weights = np.split(values_of(module.in_proj_weight), 3)
    biases = np.split(values_of(module.in_proj_bias), 3)
    heads = [
        (x @ weight.T + bias)
        .reshape(*x.shape[:2], module.num_heads, module.head_dim)
        .swapaxes(1, 2)
        for x, weight, bias in zip((q, k, v), weights, biases, strict=True)
    ]
    p = attention_weights(heads[0], heads[1], mask)
    joined = (p @ heads[2]).swapaxes(1, 2).reshape(*q.shape[:2], module.embed_dim)
    out = module.out_proj
    return joined @ values_of(out.weight).T + values_of(out.bias), p


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_is_the_formula(batch_first: bool, need_weights: bool) -> None:
    module = MultiheadAttention(EMBED, HEADS, batch_first=batch_first)
    q, k, v = (array(BATCH, n, EMBED, seed=n) for n in (QUERIES, KEYS, KEYS))
    arrays = (q, k, v) if batch_first else tuple(x.swapaxes(0, 1) for x in (q, k, v))
    y, weights = module(*map(Tensor, arrays), need_weights=need_weights)
    want, p = define(module, q, k, v)
    got = y.detach().numpy()
    np.testing.assert_allclose(got if batch_first else got.swapaxes(0, 1), want, atol=1e-6)
    if need_weights:
        np.testing.assert_allclose(weights.detach().numpy(), p.mean(axis=1), atol=1e-6)
    else:
        assert weights is None


def test_weights_of_each_head() -> None:
    module = MultiheadAttention(EMBED, HEADS, batch_first=True)
    x = array(BATCH, QUERIES, EMBED)
    _, weights = module(*[Tensor(x)] * 3, average_attn_weights=False)
    np.testing.assert_allclose(weights.detach().numpy(), define(module, x, x, x)[1], atol=1e-6)


def test_one_tensor_for_all_inputs_gives_the_same() -> None:
    module = MultiheadAttention(EMBED, HEADS)
    x = tensor(QUERIES, BATCH, EMBED)
    one = module(x, x, x)[0].detach().numpy()
    three = module(x, x.clone(), x.clone())[0].detach().numpy()
    np.testing.assert_allclose(one, three, atol=1e-6)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("kind", ["boolean", "additive", "mixed"])
def test_masks(kind: str, need_weights: bool) -> None:
    module = MultiheadAttention(EMBED, HEADS, batch_first=True)
    q, kv = array(BATCH, QUERIES, EMBED), array(BATCH, KEYS, EMBED, seed=1)
    rng = np.random.default_rng(2)
    forbidden = rng.random((QUERIES, KEYS)) < 0.3
    padding = rng.random((BATCH, KEYS)) < 0.3
    numbers = [np.where(each, -np.inf, 0).astype(np.float32) for each in (forbidden, padding)]
    numbers[0] += array(QUERIES, KEYS)
    attn_mask = forbidden if kind == "boolean" else numbers[0]
    key_padding_mask = numbers[1] if kind == "additive" else padding
    y, _ = module(
        Tensor(q),
        Tensor(kv),
        Tensor(kv),
        key_padding_mask=Tensor(key_padding_mask),
        attn_mask=Tensor(attn_mask),
        need_weights=need_weights,
    )
    if kind == "boolean":
        mask: Any = ~forbidden & ~padding[:, None, None]
    else:
        mask = numbers[0].astype(np.float64) + numbers[1][:, None, None]
    np.testing.assert_allclose(y.detach().numpy(), define(module, q, kv, kv, mask)[0], atol=1e-6)


def test_mask_per_head() -> None:
    module = MultiheadAttention(EMBED, HEADS, batch_first=True)
    x = array(BATCH, QUERIES, EMBED)
    forbidden = np.random.default_rng(3).random((BATCH * HEADS, QUERIES, QUERIES)) < 0.3
    y, _ = module(*[Tensor(x)] * 3, attn_mask=Tensor(forbidden))
    mask = ~forbidden.reshape(BATCH, HEADS, QUERIES, QUERIES)
    np.testing.assert_allclose(y.detach().numpy(), define(module, x, x, x, mask)[0], atol=1e-6)


@pytest.mark.parametrize("need_weights", [True, False])
def test_causal_hint(need_weights: bool) -> None:
    module = MultiheadAttention(EMBED, HEADS, batch_first=True)
    x = array(BATCH, QUERIES, EMBED)
    keep = np.tri(QUERIES, dtype=bool)
    options: dict[str, Any] = {"attn_mask": Tensor(~keep), "is_causal": True}
    y, _ = module(*[Tensor(x)] * 3, need_weights=need_weights, **options)
    np.testing.assert_allclose(y.detach().numpy(), define(module, x, x, x, keep)[0], atol=1e-6)


def test_input_without_a_batch() -> None:
    module = MultiheadAttention(EMBED, HEADS)
    q, kv = array(QUERIES, EMBED), array(KEYS, EMBED, seed=1)
    padding = np.array([False, True, False, False, True])
    y, weights = module(Tensor(q), Tensor(kv), Tensor(kv), key_padding_mask=Tensor(padding))
    want, p = define(module, q[None], kv[None], kv[None], ~padding)
    np.testing.assert_allclose(y.detach().numpy(), want[0], atol=1e-6)
    np.testing.assert_allclose(weights.detach().numpy(), p[0].mean(axis=0), atol=1e-6)


def test_learned_and_zero_keys_come_last() -> None:
    module = MultiheadAttention(EMBED, HEADS, add_bias_kv=True, add_zero_attn=True)
    q, kv = tensor(QUERIES, BATCH, EMBED), tensor(KEYS, BATCH, EMBED, seed=1)
    forbidden = Tensor(np.ones((QUERIES, KEYS), bool))
    y, weights = module(q, kv, kv, attn_mask=forbidden)
    assert weights.shape == (BATCH, QUERIES, KEYS + 2)
    assert not weights.detach().numpy()[..., :KEYS].any()
    assert y.shape == (QUERIES, BATCH, EMBED)


def test_names_and_initialisation() -> None:
    manual_seed(0)
    module = MultiheadAttention(64, 4)
    names = {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"}
    assert set(module.state_dict()) == names
    assert module.in_proj_weight.shape == (192, 64)
    bound = np.sqrt(6 / (192 + 64))
    weight = values_of(module.in_proj_weight)
    assert 0.9 * bound < np.abs(weight).max() <= bound
    assert not values_of(module.in_proj_bias).any()
    assert not values_of(module.out_proj.bias).any()
    separate = MultiheadAttention(8, 2, kdim=3, vdim=5, bias=False, add_bias_kv=True)
    shapes = {name: value.shape for name, value in separate.state_dict().items()}
    assert shapes == {
        "q_proj_weight": (8, 8),
        "k_proj_weight": (8, 3),
        "v_proj_weight": (8, 5),
        "out_proj.weight": (8, 8),
        "bias_k": (1, 1, 8),
        "bias_v": (1, 1, 8),
    }
    y, _ = separate(tensor(4, 3, 8), tensor(5, 3, 3), tensor(5, 3, 5))
    assert y.shape == (4, 3, 8)


def test_dropout_acts_in_training_alone() -> None:
    module = MultiheadAttention(EMBED, HEADS, dropout=0.5)
    x = tensor(QUERIES, BATCH, EMBED)
    for need_weights in (True, False):
        module.train()
        runs = [module(x, x, x, need_weights=need_weights)[0].detach().numpy() for _ in range(2)]
        assert not np.array_equal(*runs)
        module.eval()
        runs = [module(x, x, x, need_weights=need_weights)[0].detach().numpy() for _ in range(2)]
        assert np.array_equal(*runs)


@pytest.mark.parametrize("need_weights", [True, False])
def test_gradients(need_weights: bool) -> None:
    module = MultiheadAttention(4, 2, dtype=np.float64)
    rng = np.random.default_rng(0)
    q, kv = (Tensor(rng.standard_normal((n, 1, 4)), requires_grad=True) for n in (2, 3))

    def call(query: Tensor, key: Tensor, *parameters: Tensor) -> Any:
        return module(query, key, key, need_weights=need_weights)[0]

    inputs = [q, kv, *module.parameters()]
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MultiheadAttention(8, 3), ValueError, "embed_dim 8 is not divisible by 3 heads"),
        (lambda: MultiheadAttention(0, 1), ValueError, "embed_dim is 0"),
        (lambda: MultiheadAttention(8, 0), ValueError, "num_heads is 0"),
        (lambda: MultiheadAttention(8, 2.0), TypeError, "num_heads is a float"),
        (lambda: MultiheadAttention(8, 2, dropout=2), ValueError, "dropout is 2"),
        (lambda: MultiheadAttention(8, 2, kdim=0), ValueError, "kdim is 0"),
    ],
)
def test_wrong_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ([(4, 8), (5, 3, 8), (5, 3, 8)], {}, "key has shape .*expected 2 dimensions"),
        ([(8,), (8,), (8,)], {}, "query has shape .*expected 2 or 3 dimensions"),
        ([(4, 3, 7), (5, 3, 8), (5, 3, 8)], {}, r"query has shape .*expected \(4, 3, 8\)"),
        ([(4, 3, 8), (5, 3, 7), (5, 3, 8)], {}, r"key has shape .*expected \(5, 3, 8\)"),
        ([(4, 3, 8), (5, 2, 8), (5, 2, 8)], {}, r"key has shape .*expected \(5, 3, 8\)"),
        ([(4, 3, 8), (5, 3, 8), (6, 3, 8)], {}, r"value has shape .*expected \(5, 3, 8\)"),
        ([(4, 3, 8)] * 3, {"is_causal": True}, "expected attn_mask with it"),
        ([(4, 3, 8)] * 3, {"attn_mask": np.ones((4, 5), bool)}, r"attn_mask has shape \(4, 5\)"),
        ([(4, 3, 8)] * 3, {"attn_mask": np.ones((3, 4, 4), bool)}, r"or \(6, 4, 4\)"),
        (
            [(4, 3, 8)] * 3,
            {"key_padding_mask": np.ones((4, 3), bool)},
            r"key_padding_mask has shape \(4, 3\), expected \(3, 4\)",
        ),
    ],
)
def test_wrong_shapes(shapes: Any, options: dict[str, Any], message: str) -> None:
    given = {k: Tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    with pytest.raises(ValueError, match=message):
        MultiheadAttention(EMBED, HEADS)(*(tensor(*shape) for shape in shapes), **given)


def test_masks_of_integers_are_refused() -> None:
    x = tensor(4, 3, 8)
    with pytest.raises(TypeError, match="attn_mask is int64, expected bool or a floating"):
        MultiheadAttention(EMBED, HEADS)(x, x, x, attn_mask=Tensor(np.ones((4, 4), np.int64)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(2, 5, 8), (5, 8), (0, 5, 8), (2, 0, 8)])
def test_joined_projection_gives_what_its_parts_give(shape: tuple[int, ...], causal: bool) -> None:
    manual_seed(0)
    module = MultiheadAttention(8, 2, batch_first=True).to(float64)
    x = randn(*shape, dtype=float64).requires_grad_()
    length = shape[-2]
    mask = Tensor(np.triu(np.ones((length, length), np.bool_), 1)) if causal else None
    results = []
    for key in (x, x * 1):  # other objects are projected one by one
        module.zero_grad()
        x.grad = None
        y, _ = module(x, key, key, need_weights=False, attn_mask=mask, is_causal=causal)
        (y * y).sum().backward()
        leaves = (x, *module.parameters())
        results.append([y.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)])
    for joined, parts in zip(*results, strict=True):
        np.testing.assert_allclose(joined.numpy(), parts.numpy(), rtol=1e-10, atol=1e-12)


def test_joined_projection_has_second_derivatives() -> None:
    manual_seed(0)
    joined = randn(2, 3, 12, dtype=float64).requires_grad_()
    mask = Tensor(np.tril(np.ones((3, 3), np.bool_)))
    for given in (None, mask):
        assert gradcheck(lambda x, m=given: self_attention(x, 2, m), (joined,))
        assert gradgradcheck(lambda x, m=given: self_attention(x, 2, m), (joined,))


@pytest.mark.torch
@pytest.mark.parametrize("separate", [False, True])
def test_weights_of_torch_give_its_outputs(separate: bool) -> None:
    import torch

    sizes: dict[str, Any] = {"kdim": 3, "vdim": 5} if separate else {}
    theirs = torch.nn.MultiheadAttention(EMBED, HEADS, **sizes)
    ours = MultiheadAttention(EMBED, HEADS, **sizes)
    ours.load_state_dict({k: Tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    shapes = ((QUERIES, BATCH, EMBED), (KEYS, BATCH, ours.kdim), (KEYS, BATCH, ours.vdim))
    arrays = [array(*shape) for shape in shapes]
    want, want_weights = theirs(*map(torch.tensor, arrays))
    got, weights = ours(*map(Tensor, arrays))
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(weights.detach().numpy(), want_weights.detach().numpy(), atol=1e-6)
