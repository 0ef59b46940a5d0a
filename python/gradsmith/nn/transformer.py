# SPDX-License-Identifier: Apache-2.0
"""Stacks of transformer layers, and the whole of encoder and decoder (Vaswani et al. 2017)."""

from __future__ import annotations

import copy
import math
from typing import Any

from gradsmith.backend import get_default_dtype
from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.container import ModuleList
from gradsmith.nn.module import Module
from gradsmith.nn.module_tree import check_module
from gradsmith.nn.norm import LayerNorm
from gradsmith.nn.sizes import checked_count_of_layers
from gradsmith.nn.transformer_layers import (
    Activation,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from gradsmith.ops.creation import full
from gradsmith.ops.diagonal import triu
from gradsmith.tensor import Tensor, array_of


class _Stack(Module):
    """Copies of a layer on top of each other, and a norm after the last if there is one."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        check_module(type(self).__name__, "the layer", layer)
        count = checked_count_of_layers(type(self).__name__, num_layers)
        self.layers = ModuleList(copy.deepcopy(layer) for _ in range(count))
        self.num_layers = count
        self.norm = norm

    def _normalized(self, x: Tensor) -> Tensor:
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """``num_layers`` copies of an encoder layer, which start with the same parameters."""

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        """Copy the layer.

        Args:
            encoder_layer: a `TransformerEncoderLayer`.
            num_layers: number of copies.
            norm: applied to the last layer's output.
            enable_nested_tensor: accepted, without effect.
            mask_check: accepted, without effect.

        Raises:
            TypeError: the layer is no module.
            ValueError: ``num_layers`` is not positive.
        """
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """Return the sequence after all layers; arguments as `TransformerEncoderLayer.forward`."""
        x = src
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask, bool(is_causal))
        return self._normalized(x)


class TransformerDecoder(_Stack):
    """``num_layers`` copies of a decoder layer, which start with the same parameters."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        """Copy the layer, a `TransformerDecoderLayer`; errors are those of `TransformerEncoder`."""
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Return the sequence after all layers; arguments as `TransformerDecoderLayer.forward`."""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        x = tgt
        for layer in self.layers:
            x = layer(x, memory, *masks, bool(tgt_is_causal), memory_is_causal)
        return self._normalized(x)


class Transformer(Module):
    """An encoder of one sequence and a decoder of another that attends to it.

    Example:
        >>> import gradsmith as gs
        >>> model = gs.nn.Transformer(16, 2, 1, 1, dim_feedforward=32, batch_first=True)
        >>> mask = model.generate_square_subsequent_mask(3)
        >>> model(gs.randn(2, 5, 16), gs.randn(2, 3, 16), tgt_mask=mask, tgt_is_causal=True).shape
        (2, 3, 16)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters; the arguments are those of `TransformerEncoderLayer`, and:

        Args:
            d_model: features E.
            nhead: heads of the attention.
            num_encoder_layers: layers of the encoder.
            num_decoder_layers: layers of the decoder.
            dim_feedforward: features between the two linear maps of a layer.
            dropout: share that is dropped in training.
            activation: between the two linear maps.
            custom_encoder: takes the place of the encoder.
            custom_decoder: takes the place of the decoder.
            layer_norm_eps: added to the variances.
            batch_first: whether the batch is the first dimension of inputs and output.
            norm_first: whether the norms stand before the blocks.
            bias: whether linear maps and norms have biases.
            device: where the parameters are.
            dtype: of the parameters.

        Raises:
            ValueError: as `TransformerEncoderLayer`.
        """
        super().__init__()
        place = {"device": device, "dtype": dtype}
        layout = (layer_norm_eps, batch_first, norm_first, bias, device, dtype)
        options = (d_model, nhead, dim_feedforward, dropout, activation, *layout)
        self.encoder: Module
        self.decoder: Module
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
            layer = TransformerEncoderLayer(*options)
            self.encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
            self.decoder = TransformerDecoder(
                TransformerDecoderLayer(*options), num_decoder_layers, norm
            )
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = bool(batch_first)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """Return (sz, sz), -inf where a column comes after its row, 0 elsewhere: the causal mask.

        Example:
            >>> import gradsmith as gs
            >>> gs.nn.Transformer.generate_square_subsequent_mask(2).tolist()
            [[0.0, -inf], [0.0, 0.0]]
        """
        kind = get_default_dtype() if dtype is None else dtype
        return triu(full((sz, sz), -math.inf, dtype=kind, device=device), 1)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Return the decoder's output, in the shape of tgt.

        Args:
            src: (S, N, E), (N, S, E) with ``batch_first``, or (S, E).
            tgt: (T, N, E), arranged like src.
            src_mask: (S, S) or (N * heads, S, S); True forbids, numbers are added.
            tgt_mask: (T, T) or (N * heads, T, T), likewise.
            memory_mask: (T, S) or (N * heads, T, S), likewise.
            src_key_padding_mask: (N, S), True where a step is to be ignored.
            tgt_key_padding_mask: (N, T), likewise.
            memory_key_padding_mask: (N, S), likewise.
            src_is_causal: a hint that ``src_mask`` is the causal mask.
            tgt_is_causal: the same of ``tgt_mask``.
            memory_is_causal: the same of ``memory_mask``.

        Raises:
            ValueError: a shape does not fit.
        """
        shapes = [
            array_of("transformer", each, name).shape for name, each in (("src", src), ("tgt", tgt))
        ]
        batch = 0 if self.batch_first else 1
        if len(shapes[0]) != len(shapes[1]) or (
            len(shapes[0]) == 3 and shapes[0][batch] != shapes[1][batch]
        ):
            raise ValueError(f"src has shape {shapes[0]} and tgt {shapes[1]}, expected one batch")
        for name, shape in zip(("src", "tgt"), shapes, strict=True):
            if shape[-1:] != (self.d_model,):
                raise ValueError(f"{name} has shape {shape}, expected {self.d_model} features")
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        result: Tensor = self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)
        return result
