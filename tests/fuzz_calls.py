# SPDX-License-Identifier: Apache-2.0
"""Right arguments of functions that random ones hardly ever fit.

A letter and digits are a tensor of these sizes (f floating, i of 0 to 2, b of bools, s of 1 and
-1), all else is a Python literal. ``Name.forward`` are the arguments of a module.
"""

from __future__ import annotations

import ast
from random import Random
from typing import Any

import numpy as np

import gradsmith as gs

RIGHT = {
    "addbmm": "f34 f232 f224 | f34 f232 f224",
    "addmm": "f34 f32 f24",
    "addmv": "f3 f34 f4",
    "mv": "f34 f4",
    "diagonal_scatter": "f34 f3",
    "select_scatter": "f34 f3 1 2",
    "randint": "0 9 (3,4)",
    "additive_attention": "f234 f254 f256 f4",
    "bincount": "i4",
    "index_add": "f34 0 i3 f34",
    "fft_conv2d": "f2344 f2322",
    "affine_grid": "f223 (2,3,4,5)",
    "batch_norm": "f234 f3 f3",
    "batch_norm_relu": "f234 f3 f3",
    "bilinear": "f34 f35 f245",
    "contrastive_loss": "f34 f34 i3",
    "conv3d": "f23444 f23222",
    "cosine_embedding_loss": "f34 f34 s3",
    "ctc_loss": "f523 i22 i2 i2",
    "dice_loss": "f2344 i244",
    "jaccard_loss": "f2344 i244",
    "elbo_loss": "f34 f34 f32 f32",
    "embedding": "i34 f35",
    "embedding_bag": "i34 f35",
    "fold": "f282 (2,3) (2,2) | f188 (3,5) 2",
    "gan_hinge_loss": "f34 f34",
    "grid_sample": "f2345 f2222",
    "interpolate": "f2345 (3,3) | f234 7",
    "locally_connected1d": "f234 f3232",
    "locally_connected2d": "f2344 f332322",
    "margin_ranking_loss": "f34 f34 s34",
    "masked_mean": "f234 b24",
    "multi_margin_loss": "f34 i3",
    "nll_loss": "f34 i3 | f234 i24",
    "cross_entropy": "f34 i3 | f234 i24 | f34 f34",
    "rbf_distance_loss": "f34 i3",
    "roi_align": "f2344 f35 (2,2)",
    "roi_pool": "f2344 f35 (2,2)",
    "separable_kernel_conv2d": "f2344 f32 f32",
    "sequence_cross_entropy": "f234 i23",
    "subsampling2d": "f2344 2",
    "td_loss": "f3 f3 f3 b3",
    "tiled_conv2d": "f2344 f222322",
    "AdditiveAttention": "4 4 3",
    "AdditiveAttention.forward": "f234 f254 f256",
    "ContrastiveLoss.forward": "f34 f34 i3",
    "CosineEmbeddingLoss.forward": "f34 f34 s3",
    "ConvTranspose3d": "3 2 2",
    "ConvTranspose3d.forward": "f23333",
    "DiceLoss.forward": "f2344 i244",
    "JaccardLoss.forward": "f2344 i244",
    "FractionalMaxPool2d": "2 (2,2)",
    "FractionalMaxPool2d.forward": "f2344",
    "LazyConvTranspose2d": "2 2",
    "LazyConvTranspose2d.forward": "f2344",
    "MaxUnpool2d": "2",
    "MaxUnpool2d.forward": "f2322 i2322",
    "MultiMarginLoss.forward": "f34 i3",
    "RBFDistanceLoss.forward": "f34 i3",
    "SeparableConv2d": "3 2 2",
    "SeparableConv2d.forward": "f2344",
    "UpsamplingBilinear2d": "(3,3)",
    "UpsamplingBilinear2d.forward": "f2344",
    "Conv1d": "3 2 2",
    "Conv1d.forward": "f234",
    "Conv2d": "3 2 2",
    "Conv2d.forward": "f2344",
    "Conv3d": "3 2 2",
    "Conv3d.forward": "f23444",
    "ConvTranspose2d": "3 2 2",
    "ConvTranspose2d.forward": "f2344",
    "NLLLoss.forward": "f34 i3",
    "CrossEntropyLoss.forward": "f34 i3",
    "CTCLoss.forward": "f523 i22 i2 i2",
    "Embedding": "3 4",
    "Embedding.forward": "i23",
    "EmbeddingBag": "3 4",
    "EmbeddingBag.forward": "i23",
    "LSTM": "4 3",
    "LSTM.forward": "f524",
    "GRU": "4 3",
    "GRU.forward": "f524",
    "RNN": "4 3",
    "RNN.forward": "f524",
    "LSTMCell": "4 3",
    "LSTMCell.forward": "f24",
    "Linear": "4 3",
    "Linear.forward": "f24",
    "BatchNorm2d": "3",
    "BatchNorm2d.forward": "f2344",
    "MultiheadAttention": "4 2",
    "MultiheadAttention.forward": "f324 f324 f324",
    "Transformer": "4 2 1 1 4",
    "Transformer.forward": "f324 f324",
    "TransformerEncoderLayer": "4 2 4",
    "TransformerEncoderLayer.forward": "f324",
    "TripletMarginLoss.forward": "f34 f34 f34",
    "RotaryEmbedding": "4",
    "RotaryEmbedding.forward": "f234",
    "MSELoss.forward": "f34 f34",
    "BCELoss.forward": "f34 f34",
    "Fold": "(2,3) (2,2)",
    "Fold.forward": "f282",
    "MaxPool2d": "2",
    "MaxPool2d.forward": "f2345",
    "Upsample": "(3,3)",
    "Upsample.forward": "f2345",
}


def right_arguments(rng: Random, name: str) -> list[Any]:
    """Return arguments that a function takes."""
    return [_made(rng, word) for word in rng.choice(RIGHT[name].split(" | ")).split()]


def _made(rng: Random, word: str) -> Any:
    kind, shape = word[0], tuple(map(int, word[1:])) if word[1:].isdigit() else ()
    numbers = np.random.default_rng(rng.randrange(10))
    if kind == "f":
        values = numbers.random(shape) if rng.randrange(2) else numbers.standard_normal(shape)
        return gs.Tensor(values.astype(np.float32), requires_grad=rng.random() < 0.5)
    if kind == "i":
        return gs.Tensor(np.asarray(numbers.integers(0, 3, shape)))
    if kind == "s":
        return gs.Tensor(np.sign(numbers.standard_normal(shape)).astype(np.float32))
    if kind == "b":
        return gs.Tensor(np.asarray(numbers.random(shape) < 0.5))
    return ast.literal_eval(word)
