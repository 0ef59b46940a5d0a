# SPDX-License-Identifier: Apache-2.0
"""Transformers: every option against PyTorch, masks, copies, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import nn
from gradsmith.autograd import gradcheck
from gradsmith.nn.utils.rnn import length_mask

EMBED, HEADS, WIDE, BATCH, SOURCE, TARGET = 8, 2, 12, 3, 5, 4


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(np.float32)


def arranged(x: np.ndarray, batch_first: bool) -> np.ndarray:
    return x if batch_first else np.ascontiguousarray(x.swapaxes(0, 1))


OPTIONS: list[dict[str, Any]] = [
    {},
    {"norm_first": True},
    {"activation": "gelu", "batch_first": True},
    {"bias": False, "batch_first": True, "norm_first": True},
    {"layer_norm_eps": 0.1},
]


def assert_same(theirs: Any, ours: Any, arrays: list[np.ndarray], masks: dict[str, Any]) -> None:
    """Load the weights; compare outputs and all gradients."""
    import torch

    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    ours.load_state_dict(state)
    their_x = [torch.tensor(each, requires_grad=True) for each in arrays]
    our_x = [gs.tensor(each, requires_grad=True) for each in arrays]
    their_masks = {k: v if isinstance(v, bool) else torch.tensor(v) for k, v in masks.items()}
    our_masks = {k: v if isinstance(v, bool) else gs.tensor(v) for k, v in masks.items()}
    want, got = theirs(*their_x, **their_masks), ours(*our_x, **our_masks)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), atol=1e-5)
    dy = array(*got.shape, seed=9)
    want.backward(torch.tensor(dy))
    got.backward(gs.tensor(dy))
    for one, other in zip(our_x, their_x, strict=True):
        assert one.grad is not None
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), atol=1e-4)
    for name, parameter in ours.named_parameters():
        expected = theirs.get_parameter(name).grad.numpy()
        np.testing.assert_allclose(parameter.grad.numpy(), expected, atol=1e-4, err_msg=name)


def causal(size: int) -> np.ndarray:
    return np.triu(np.full((size, size), -np.inf, np.float32), 1)


def padding(lengths: list[int], steps: int) -> np.ndarray:
    return np.arange(steps) >= np.array(lengths)[:, None]


@pytest.mark.torch
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_encoder_as_torch(options: dict[str, Any]) -> None:
    import torch

    def make(lib: Any) -> Any:
        layer = lib.TransformerEncoderLayer(EMBED, HEADS, WIDE, 0.0, **options)
        return lib.TransformerEncoder(layer, 2, lib.LayerNorm(EMBED), enable_nested_tensor=False)

    torch.manual_seed(0)
    x = [arranged(array(BATCH, SOURCE, EMBED), options.get("batch_first", False))]
    ignored = padding([5, 3, 2], SOURCE)
    masks: list[dict[str, Any]] = [
        {},
        {"mask": causal(SOURCE), "is_causal": True},
        {"mask": array(SOURCE, SOURCE, seed=3) > 1, "src_key_padding_mask": ignored},
    ]
    for each in masks:
        assert_same(make(torch.nn), make(nn), x, each)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:Support for mismatched")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_transformer_as_torch(options: dict[str, Any]) -> None:
    import torch

    def make(lib: Any) -> Any:
        return lib.Transformer(EMBED, HEADS, 1, 2, WIDE, 0.0, **options)

    torch.manual_seed(0)
    batch_first = options.get("batch_first", False)
    shapes = ((BATCH, SOURCE, EMBED), (BATCH, TARGET, EMBED))
    arrays = [arranged(array(*shape), batch_first) for shape in shapes]
    masks = {
        "tgt_mask": causal(TARGET),
        "tgt_is_causal": True,
        "memory_mask": array(TARGET, SOURCE, seed=4) > 1.5,
        "src_key_padding_mask": padding([5, 3, 4], SOURCE),
        "memory_key_padding_mask": padding([5, 3, 4], SOURCE),
        "tgt_key_padding_mask": padding([4, 4, 2], TARGET),
    }
    assert_same(make(torch.nn), make(nn), arrays, masks)
    assert_same(make(torch.nn), make(nn), arrays, {})


@pytest.mark.torch
def test_decoder_layer_without_batch_as_torch() -> None:
    import torch

    theirs = torch.nn.TransformerDecoderLayer(EMBED, HEADS, WIDE, 0.0, torch.tanh)
    ours = nn.TransformerDecoderLayer(EMBED, HEADS, WIDE, 0.0, gs.tanh)
    arrays = [array(TARGET, EMBED), array(SOURCE, EMBED)]
    masks = {"tgt_mask": causal(TARGET), "tgt_is_causal": True}
    assert_same(theirs, ours, arrays, masks)


def test_layer_in_double_precision() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 3, 0.0, "gelu", batch_first=True, dtype=gs.float64)
    x = gs.tensor(array(1, 3, 4).astype(np.float64), requires_grad=True)
    assert gradcheck(lambda x: layer(x), x)


def test_padding_changes_nothing_before_it() -> None:
    layer = nn.TransformerEncoderLayer(EMBED, HEADS, WIDE, 0.0, batch_first=True)
    x = gs.tensor(array(2, SOURCE, EMBED))
    ignored = ~length_mask(gs.tensor([SOURCE, 3]), SOURCE)
    got = layer(x, src_key_padding_mask=ignored)
    alone = layer(x[1:, :3])
    np.testing.assert_allclose(got[1, :3].detach().numpy(), alone[0].detach().numpy(), atol=1e-6)


def test_causal_mask() -> None:
    mask = nn.Transformer.generate_square_subsequent_mask(3, dtype=gs.float64)
    assert mask.dtype == gs.float64
    inf = float("inf")
    assert mask.tolist() == [[0.0, -inf, -inf], [0.0, 0.0, -inf], [0.0, 0.0, 0.0]]


def test_copies_and_parts() -> None:
    layer = nn.TransformerEncoderLayer(EMBED, HEADS, WIDE, activation=nn.Tanh())
    encoder = nn.TransformerEncoder(layer, 2)
    first, second = encoder.layers
    assert first.linear1.weight is not second.linear1.weight
    assert first.linear1.weight.tolist() == second.linear1.weight.tolist()
    assert encoder.norm is None
    assert isinstance(first.activation, nn.Tanh)
    assert nn.TransformerEncoderLayer(EMBED, HEADS).activation is F.relu
    given = nn.Transformer(EMBED, HEADS, custom_encoder=encoder, num_decoder_layers=1)
    assert given.encoder is encoder
    assert sum(1 for name in given.state_dict() if name.startswith("decoder.layers.0")) == 18


def test_dropout_in_training_alone() -> None:
    gs.manual_seed(0)
    layer = nn.TransformerEncoderLayer(EMBED, HEADS, WIDE, 0.5)
    x = gs.ones(SOURCE, BATCH, EMBED)
    assert layer(x).tolist() != layer(x).tolist()
    layer.eval()
    assert layer(x).tolist() == layer(x).tolist()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.TransformerEncoderLayer(8, 2, activation="swish"),
            ValueError,
            "TransformerEncoderLayer: activation is 'swish', expected 'relu', 'gelu'",
        ),
        (lambda: nn.TransformerEncoderLayer(8, 3), ValueError, "not divisible by 3 heads"),
        (lambda: nn.TransformerDecoderLayer(8, 2, dropout=2), ValueError, "dropout is 2"),
        (lambda: nn.TransformerEncoder(3, 2), TypeError, "the layer is a int, expected a Module"),
        (lambda: nn.TransformerDecoder(nn.Identity(), 0), ValueError, "num_layers is 0"),
        (
            lambda: nn.Transformer(8, 2, 1, 1, 4)(gs.ones(3, 2, 8), gs.ones(3, 1, 8)),
            ValueError,
            r"Transformer: src has shape \(3, 2, 8\) and tgt \(3, 1, 8\), expected one batch",
        ),
        (
            lambda: nn.Transformer(8, 2, 1, 1, 4)(gs.ones(3, 2, 8), gs.ones(3, 2, 6)),
            ValueError,
            r"tgt has shape \(3, 2, 6\), expected 8 features",
        ),
        (
            lambda: nn.TransformerEncoderLayer(8, 2)(gs.ones(3, 2, 8), is_causal=True),
            ValueError,
            "self_attn .*expected attn_mask",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
