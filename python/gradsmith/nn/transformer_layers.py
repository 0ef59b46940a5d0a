# SPDX-License-Identifier: Apache-2.0
"""One layer of a transformer's encoder or decoder (Vaswani et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from gradsmith.nn import functional as F
from gradsmith.nn.attention import MultiheadAttention
from gradsmith.nn.dropout import Dropout
from gradsmith.nn.linear import Linear
from gradsmith.nn.module import Module
from gradsmith.nn.norm import LayerNorm
from gradsmith.ops.elementwise import add
from gradsmith.tensor import Tensor

Activation = str | Callable[[Tensor], Tensor]


def _activation_of(layer: str, activation: Activation) -> Callable[[Tensor], Tensor]:
    if callable(activation):
        return activation
    if activation not in ("relu", "gelu"):
        raise ValueError(
            f"{layer}: activation is {activation!r}, expected 'relu', 'gelu' or a callable"
        )
    return F.relu if activation == "relu" else F.gelu


class _TransformerLayer(Module):
    """Blocks of attention and one of two linear maps, each with a shortcut and a norm."""

    attentions: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Args:
            d_model: features E.
            nhead: heads of the attention; divides ``d_model``.
            dim_feedforward: features between the two linear maps.
            dropout: share that is dropped in training, of attention weights and of each result.
            activation: ``"relu"``, ``"gelu"``, a function or a module.
            layer_norm_eps: added to the variances.
            batch_first: whether the batch is the first dimension of inputs and output.
            norm_first: whether the norms stand before the blocks, not after the shortcuts.
            bias: whether linear maps and norms have biases.
            device: where the parameters are.
            dtype: of the parameters.

        Raises:
            ValueError: a size is not positive, the heads do not divide ``d_model``, ``dropout``
                is not in [0, 1], or the activation is unknown.
        """
        super().__init__()
        place = {"device": device, "dtype": dtype}
        for name in self.attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, **place
            )
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        blocks = range(1, len(self.attentions) + 2)
        for number in blocks:
            setattr(self, f"norm{number}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for number in blocks:
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.norm_first = bool(norm_first)
        self.activation = _activation_of(type(self).__name__, activation)

    def _with_shortcut(self, number: int, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the input plus what the block of this number makes of it, normalised."""
        norm, drop = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        if self.norm_first:
            return add(x, drop(block(norm(x))))
        result: Tensor = norm(add(x, drop(block(x))))
        return result

    def _feed_forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return result


def _attended(
    attention: MultiheadAttention,
    memory: Tensor | None,
    attn_mask: Tensor | None,
    key_padding_mask: Tensor | None,
    is_causal: bool,
) -> Callable[[Tensor], Tensor]:
    """Return the block of attention on a memory, or of the input on itself."""

    def block(x: Tensor) -> Tensor:
        keys = x if memory is None else memory
        output, _ = attention(
            x,
            keys,
            keys,
            key_padding_mask=key_padding_mask,
            need_weights=False,
            attn_mask=attn_mask,
            is_causal=is_causal,
        )
        result: Tensor = output
        return result

    return block


class TransformerEncoderLayer(_TransformerLayer):
    """Attention of a sequence on itself, then two linear maps per step."""

    attentions = ("self_attn",)
    self_attn: MultiheadAttention

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Return the sequence after the layer, in the shape of src.

        Args:
            src: (S, N, E), (N, S, E) with ``batch_first``, or (S, E).
            src_mask: (S, S) or (N * heads, S, S); True forbids, numbers are added.
            src_key_padding_mask: (N, S), True where a step is to be ignored; of lengths it is
                ``~length_mask(lengths, S)``.
            is_causal: a hint that ``src_mask``, which has to be given, is the causal mask.

        Raises:
            ValueError: a shape does not fit.
        """
        attend = _attended(self.self_attn, None, src_mask, src_key_padding_mask, is_causal)
        x = self._with_shortcut(1, src, attend)
        return self._with_shortcut(2, x, self._feed_forward)


class TransformerDecoderLayer(_TransformerLayer):
    """Attention of a sequence on itself, then on a memory, then two linear maps per step."""

    attentions = ("self_attn", "multihead_attn")
    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Return the sequence after the layer, in the shape of tgt.

        Args:
            tgt: (T, N, E), (N, T, E) with ``batch_first``, or (T, E).
            memory: the encoder's output, (S, N, E), arranged like tgt.
            tgt_mask: (T, T) or (N * heads, T, T); True forbids, numbers are added.
            memory_mask: (T, S) or (N * heads, T, S), likewise.
            tgt_key_padding_mask: (N, T), True where a step is to be ignored.
            memory_key_padding_mask: (N, S), likewise.
            tgt_is_causal: a hint that ``tgt_mask``, which has to be given, is the causal mask.
            memory_is_causal: the same of ``memory_mask``.

        Raises:
            ValueError: a shape does not fit.
        """
        own = _attended(self.self_attn, None, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        others = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = self._with_shortcut(1, tgt, own)
        x = self._with_shortcut(2, x, _attended(self.multihead_attn, memory, *others))
        return self._with_shortcut(3, x, self._feed_forward)
