# SPDX-License-Identifier: Apache-2.0
"""Padding, packing, lengths and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import gradcheck, gradgradcheck
from gradsmith.nn.utils import rnn
from gradsmith.tensor import Tensor
from tests.cases import HAS_SIMULATOR

ROWS = [gs.arange(2.0) + 1, gs.arange(4.0) + 10, gs.arange(1.0) + 20]


def test_pad_and_unpad() -> None:
    padded = rnn.pad_sequence(ROWS, batch_first=True, padding_value=-1.0)
    want = [[1.0, 2.0, -1.0, -1.0], [10.0, 11.0, 12.0, 13.0], [20.0, -1.0, -1.0, -1.0]]
    assert padded.tolist() == want
    assert rnn.pad_sequence(ROWS, padding_value=-1.0).tolist() == np.transpose(want).tolist()
    left = rnn.pad_sequence(ROWS, True, 0.0, "left")
    assert left[2].tolist() == [0.0, 0.0, 0.0, 20.0]
    back = rnn.unpad_sequence(padded, gs.tensor([2, 4, 1]), batch_first=True)
    assert [each.tolist() for each in back] == [each.tolist() for each in ROWS]
    ids = rnn.pad_sequence([gs.tensor([1, 2]), gs.tensor([3])], padding_value=9)
    assert ids.dtype == gs.int64
    assert ids.tolist() == [[1, 3], [2, 9]]
    wide = rnn.pad_sequence([gs.ones(2, 3), gs.ones(1, 3)])
    assert wide.shape == (2, 2, 3)
    assert wide[1, 1].tolist() == [0.0] * 3


def test_pack_and_unpack() -> None:
    packed = rnn.pack_sequence(ROWS, enforce_sorted=False)
    assert packed.data.tolist() == [10.0, 1.0, 20.0, 11.0, 2.0, 12.0, 13.0]
    assert packed.batch_sizes.tolist() == [3, 2, 1, 1]
    assert packed.sorted_indices is not None
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    assert packed.unsorted_indices is not None
    assert packed.unsorted_indices.tolist() == [1, 0, 2]
    assert [each.tolist() for each in rnn.unpack_sequence(packed)] == [r.tolist() for r in ROWS]
    padded, lengths = rnn.pad_packed_sequence(packed, True, padding_value=7.0, total_length=5)
    assert lengths.tolist() == [2, 4, 1]
    assert padded[0].tolist() == [1.0, 2.0, 7.0, 7.0, 7.0]
    doubled = packed.to(gs.float64)
    assert doubled.data.dtype == gs.float64
    assert doubled.batch_sizes is packed.batch_sizes
    sorted_rows = rnn.pack_sequence([ROWS[1], ROWS[0]])
    assert sorted_rows.sorted_indices is None
    assert sorted_rows.data.tolist() == [10.0, 1.0, 11.0, 2.0, 12.0, 13.0]
    features = rnn.pack_padded_sequence(gs.arange(24.0).reshape(2, 3, 4), [3, 1], True)
    assert features.data.shape == (4, 4)
    assert rnn.pad_packed_sequence(features)[0].shape == (3, 2, 4)


def test_packing_is_differentiable() -> None:
    def there_and_back(x: Tensor) -> Tensor:
        packed = rnn.pack_padded_sequence(x * x, [2, 3], enforce_sorted=False)
        return rnn.pad_packed_sequence(packed)[0] * 2

    x = Tensor(np.random.default_rng(0).standard_normal((3, 2, 2)), requires_grad=True)
    assert gradcheck(there_and_back, x)
    assert gradgradcheck(there_and_back, x)


def test_lengths_and_masks() -> None:
    lengths = gs.tensor([2, 0, 3])
    mask = rnn.length_mask(lengths, 4)
    assert mask.tolist() == [[True, True, False, False], [False] * 4, [True, True, True, False]]
    assert rnn.length_mask(lengths).shape == (3, 3)
    assert rnn.mask_lengths(mask).tolist() == [2, 0, 3]
    assert rnn.mask_lengths(mask).dtype == gs.int64
    assert rnn.length_mask(gs.zeros(0, dtype=gs.int64)).shape == (0, 0)


@pytest.mark.skipif(not HAS_SIMULATOR, reason="this build has no simulator")
def test_on_another_device() -> None:
    x = gs.arange(12.0).reshape(3, 2, 2)
    lengths = gs.tensor([2, 3])
    there = rnn.pack_padded_sequence(x.to("cudasim"), lengths, enforce_sorted=False)
    here = rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    moved = here.to("cudasim")
    for packed in (there, moved):
        assert packed.data.device == packed.sorted_indices.device == gs.device("cudasim")
        assert packed.batch_sizes.device == gs.device("cpu")
        assert packed.data.tolist() == here.data.tolist()
    padded, found = rnn.pad_packed_sequence(there)
    assert padded.tolist() == rnn.pad_packed_sequence(here)[0].tolist()
    assert found.tolist() == [2, 3]
    mask = rnn.length_mask(lengths.to("cudasim"))
    assert mask.device == gs.device("cudasim")
    assert rnn.mask_lengths(mask).tolist() == [2, 3]
    gru = gs.nn.GRU(2, 3, bidirectional=True)
    want, last = gru(x, lengths=lengths)
    got, same = gru.to("cudasim")(x.to("cudasim"), lengths=lengths.to("cudasim"))
    np.testing.assert_allclose(got.detach().cpu().numpy(), want.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(same.detach().cpu().numpy(), last.detach().numpy(), atol=1e-6)


def packed(rows: int, sizes: list[int]) -> Any:
    data = rnn.PackedSequence(gs.ones(rows, 2), gs.tensor(sizes, dtype=gs.int64))
    return rnn.pad_packed_sequence(data)


PACKED = rnn.pack_padded_sequence(gs.ones(3, 2), [3, 1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rnn.pad_sequence([]), ValueError, "there are no sequences"),
        (lambda: rnn.pad_sequence(3), TypeError, "sequences is a int"),
        (lambda: rnn.pad_sequence([[1.0]]), TypeError, r"sequences\[0\] is a list"),
        (lambda: rnn.pad_sequence([gs.ones(2, 3), gs.ones(2)]), ValueError, r"sequences\[1\] has"),
        (lambda: rnn.pad_sequence(ROWS, padding_side="top"), ValueError, "padding_side is 'top'"),
        (lambda: rnn.pack_padded_sequence(gs.ones(3), [1]), ValueError, r"input has shape \(3,\)"),
        (
            lambda: rnn.pack_padded_sequence(gs.ones(3, 2), [1, 3]),
            ValueError,
            r"lengths is \[1, 3\], expected falling lengths \(enforce_sorted=False",
        ),
        (
            lambda: rnn.pack_padded_sequence(gs.ones(3, 2), [3, 0]),
            ValueError,
            "lengths holds 0, expected at least 1",
        ),
        (
            lambda: rnn.pack_padded_sequence(gs.ones(3, 2), [3]),
            ValueError,
            r"lengths has shape \(1,\), expected \(2,\)",
        ),
        (lambda: rnn.pack_padded_sequence(gs.ones(3, 2), [2.5, 1.0]), TypeError, "lengths"),
        (lambda: rnn.pack_padded_sequence(gs.ones(3, 0), []), ValueError, "at least one sequence"),
        (lambda: rnn.pad_packed_sequence(gs.ones(3)), TypeError, "sequence is a Tensor"),
        (lambda: packed(3, [1, 2]), ValueError, r"batch_sizes is \[1, 2\], expected falling"),
        (lambda: packed(1, [1, 0]), ValueError, r"batch_sizes is \[1, 0\], expected falling"),
        (lambda: packed(0, []), ValueError, "expected falling numbers of at least 1"),
        (
            lambda: packed(4, [2, 1]),
            ValueError,
            r"data has shape \(4, 2\) and batch_sizes add up to 3, expected a row per step",
        ),
        (
            lambda: gs.nn.GRU(2, 3)(rnn.PackedSequence(gs.ones(4, 2), gs.tensor([2, 1]))),
            ValueError,
            "GRU: data has shape .*add up to 3",
        ),
        (
            lambda: rnn.pad_packed_sequence(PACKED, total_length=2),
            ValueError,
            "total_length is 2, expected at least 3",
        ),
        (
            lambda: rnn.unpad_sequence(gs.ones(3, 2), gs.tensor([4, 1])),
            ValueError,
            "lengths holds 4, expected at most the 3 steps of padded_sequences",
        ),
        (lambda: rnn.unpad_sequence(gs.ones(3), gs.tensor([1])), ValueError, "padded_sequences"),
        (lambda: rnn.length_mask(gs.tensor([3]), 2), ValueError, "max_len is 2, expected at least"),
        (lambda: rnn.length_mask(gs.tensor([-1])), ValueError, "lengths holds -1"),
        (lambda: rnn.length_mask([1, 2]), TypeError, "lengths is a list"),
        (lambda: rnn.mask_lengths(gs.ones(2, 2)), TypeError, "mask is float32, expected bool"),
        (lambda: rnn.mask_lengths(gs.ones(2) > 0), ValueError, r"mask has shape \(2,\)"),
        (
            lambda: rnn.mask_lengths(gs.tensor([[True, True], [False, True]])),
            ValueError,
            "row 1 of mask has a True after a False",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.torch
@pytest.mark.parametrize("batch_first", [False, True])
def test_as_torch(batch_first: bool) -> None:
    import torch

    theirs = torch.nn.utils.rnn
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((n, 2)).astype(np.float32) for n in (3, 5, 1, 5)]
    tensors, ours = [torch.tensor(a) for a in arrays], [gs.tensor(a) for a in arrays]
    for side in ("right", "left"):
        want = theirs.pad_sequence(tensors, batch_first, 2.0, side)
        got = rnn.pad_sequence(ours, batch_first, 2.0, side)
        np.testing.assert_array_equal(got.numpy(), want.numpy())
    lengths = [3, 5, 1, 5]
    padded = theirs.pad_sequence(tensors, batch_first)
    for name, got, want in (
        (
            "pack_padded_sequence",
            rnn.pack_padded_sequence(gs.tensor(padded.numpy()), lengths, batch_first, False),
            theirs.pack_padded_sequence(padded, lengths, batch_first, False),
        ),
        ("pack_sequence", rnn.pack_sequence(ours, False), theirs.pack_sequence(tensors, False)),
    ):
        np.testing.assert_array_equal(got.batch_sizes.numpy(), want.batch_sizes.numpy(), name)
        back, found = rnn.pad_packed_sequence(got, batch_first, 3.0, 6)
        want_back, want_found = theirs.pad_packed_sequence(want, batch_first, 3.0, 6)
        np.testing.assert_array_equal(back.numpy(), want_back.numpy(), name)
        assert found.tolist() == want_found.tolist()
        for one, other in zip(rnn.unpack_sequence(got), theirs.unpack_sequence(want), strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
