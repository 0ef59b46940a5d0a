# SPDX-License-Identifier: Apache-2.0
"""Attention with several heads, each on its own projection of queries, keys and values."""

from __future__ import annotations

import math
from typing import Any

from gradsmith.backend import FLOATING, DType, bool_
from gradsmith.nn import init
from gradsmith.nn.linear import Linear
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.ops.attention import (
    attention_weights,
    scaled_dot_product_attention,
    self_attention,
)
from gradsmith.ops.creation import zeros
from gradsmith.ops.elementwise import add, logical_not, logical_or, to, where
from gradsmith.ops.gemm import linear, matmul
from gradsmith.ops.joining import cat
from gradsmith.ops.options import check_number
from gradsmith.ops.random_dropout import dropout as drop
from gradsmith.ops.reduce import mean
from gradsmith.ops.shape import expand, reshape, squeeze, transpose, unsqueeze
from gradsmith.ops.shape_copy import pad
from gradsmith.ops.shape_pieces import chunk
from gradsmith.tensor import Tensor, array_of

_NAME = "MultiheadAttention"
_CALL = _NAME.lower()  # an error of the call is prefixed by the module's path, not this


class MultiheadAttention(Module):
    """``out_proj(concatenation of softmax(q k^T / sqrt(E / heads)) v over the heads)``.

    Attributes:
        in_proj_weight: (3 * embed_dim, embed_dim), the projections of query, key and value; None
            where ``kdim`` or ``vdim`` differ, and q_proj_weight, k_proj_weight and v_proj_weight
            take its place.
        in_proj_bias: (3 * embed_dim) or None.
        out_proj: `Linear` of the joined heads.
        bias_k: (1, 1, embed_dim) with ``add_bias_kv``, else None, like bias_v.
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Args:
            embed_dim: features E of queries and outputs.
            num_heads: number of heads; divides ``embed_dim``.
            dropout: share of the attention weights that is dropped in training.
            bias: whether the projections have biases.
            add_bias_kv: whether a learned key and value join those given.
            add_zero_attn: whether a key and value of zeros join those given.
            kdim: features of the keys, ``embed_dim`` by default.
            vdim: features of the values, ``embed_dim`` by default.
            batch_first: whether the batch is the first dimension of inputs and output.
            device: where the parameters are.
            dtype: of the parameters.

        Raises:
            ValueError: a size is not positive, the heads do not divide ``embed_dim``, or
                ``dropout`` is not in [0, 1].
        """
        super().__init__()
        self.embed_dim = checked_int(_NAME, "embed_dim", embed_dim)
        self.num_heads = checked_int(_NAME, "num_heads", num_heads)
        self.kdim = self.embed_dim if kdim is None else checked_int(_NAME, "kdim", kdim)
        self.vdim = self.embed_dim if vdim is None else checked_int(_NAME, "vdim", vdim)
        if self.embed_dim % self.num_heads:
            raise ValueError(
                f"{_NAME}: embed_dim {embed_dim} is not divisible by {num_heads} heads"
            )
        if not 0 <= check_number(_NAME, "dropout", dropout) <= 1:
            raise ValueError(f"{_NAME}: dropout is {dropout!r}, expected a number from 0 to 1")
        self.dropout = float(dropout)
        self.head_dim = self.embed_dim // self.num_heads
        self.add_zero_attn = bool(add_zero_attn)
        self.batch_first = bool(batch_first)

        def make(wanted: bool, *shape: int) -> Parameter | None:
            return new_parameter(*shape, device=device, dtype=dtype) if wanted else None

        size = self.embed_dim
        joined = self.kdim == self.vdim == size
        self.register_parameter("in_proj_weight", make(joined, 3 * size, size))
        self.register_parameter("q_proj_weight", make(not joined, size, size))
        self.register_parameter("k_proj_weight", make(not joined, size, self.kdim))
        self.register_parameter("v_proj_weight", make(not joined, size, self.vdim))
        self.register_parameter("in_proj_bias", make(bias, 3 * size))
        self.out_proj = Linear(size, size, bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", make(add_bias_kv, 1, 1, size))
        self.register_parameter("bias_v", make(add_bias_kv, 1, 1, size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the input projections and learned keys and values anew; set biases to zero."""
        projections = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        for weight in (self.in_proj_weight, *projections):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.constant_(bias, 0.0)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    # ---- the call, all inputs (N, length, features) from here on ---------------------------------

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Return the projected query, key and value, each (N, length, embed_dim)."""
        biases = (None,) * 3 if self.in_proj_bias is None else chunk(self.in_proj_bias, 3, 0)
        if self.in_proj_weight is None:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        elif query is key and key is value:
            return tuple(chunk(linear(query, self.in_proj_weight, self.in_proj_bias), 3, -1))
        else:
            weights = chunk(self.in_proj_weight, 3, 0)
        inputs = zip((query, key, value), weights, biases, strict=True)
        return tuple(linear(x, weight, bias) for x, weight, bias in inputs if weight is not None)

    def _extended(self, x: Tensor, learned: Parameter | None) -> Tensor:
        """Return keys or values with the learned and the zero ones at their end."""
        parts = [x]
        shape = (x.shape[0], 1, self.embed_dim)
        if learned is not None:
            parts.append(expand(learned, shape))
        if self.add_zero_attn:
            parts.append(zeros(shape, dtype=x.dtype, device=x.device))
        return x if len(parts) == 1 else cat(parts, 1)

    def _heads(self, x: Tensor) -> Tensor:
        """Return (N, length, E) as (N, heads, length, E / heads)."""
        split = reshape(x, (*x.shape[:2], self.num_heads, self.head_dim))
        return transpose(split, 1, 2)

    def _mask(
        self,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        sizes: tuple[int, int, int],
        dtype: DType,
    ) -> Tensor | None:
        """Return one mask that broadcasts to (N, heads, L, S), boolean (True keeps) or added."""
        batch, queries, keys = sizes
        added = self.add_zero_attn + (self.bias_k is not None)
        masks = []
        if attn_mask is not None:
            _check_mask_dtype("attn_mask", attn_mask)
            per_head = (batch * self.num_heads, queries, keys)
            if attn_mask.shape == per_head and attn_mask.ndim == 3:
                attn_mask = reshape(attn_mask, (batch, self.num_heads, queries, keys))
            elif attn_mask.shape != (queries, keys):
                raise ValueError(
                    f"{_CALL}: attn_mask has shape {attn_mask.shape}, expected {(queries, keys)} "
                    f"or {per_head}"
                )
            masks.append(attn_mask)
        if key_padding_mask is not None:
            _check_mask_dtype("key_padding_mask", key_padding_mask)
            if key_padding_mask.shape != (batch, keys):
                raise ValueError(
                    f"{_CALL}: key_padding_mask has shape {key_padding_mask.shape}, expected "
                    f"{(batch, keys)}"
                )
            masks.append(reshape(key_padding_mask, (batch, 1, 1, keys)))
        if not masks:
            return None
        if all(mask.dtype == bool_ for mask in masks):
            blocked = masks[0] if len(masks) == 1 else logical_or(*masks)
            return logical_not(pad(blocked, (0, added)) if added else blocked)
        numbers = [_as_added(mask, dtype) for mask in masks]
        total = numbers[0] if len(numbers) == 1 else add(*numbers)
        return pad(total, (0, added)) if added else total

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend; return the output and the attention weights.

        Args:
            query: (L, N, E), (N, L, E) with ``batch_first``, or (L, E).
            key: (S, N, kdim), arranged like the query.
            value: (S, N, vdim), arranged like the query.
            key_padding_mask: (N, S) or (S); keys are ignored where True, or numbers to be added.
            need_weights: whether to return the weights; without them the fused kernel is used.
            attn_mask: (L, S) or (N * heads, L, S); True forbids, numbers are added.
            average_attn_weights: whether the weights are averaged over the heads.
            is_causal: a hint that ``attn_mask``, which has to be given, is the causal mask.

        Returns:
            The output, shaped like the query, and the weights (N, L, S), (N, heads, L, S) unless
            averaged, without N if the query has none, or None.

        Raises:
            ValueError: a shape does not fit, or ``is_causal`` comes without ``attn_mask``.
            TypeError: a mask is neither boolean nor floating.
        """
        has_batch = self._check(query, key, value)
        if is_causal and attn_mask is None:
            raise ValueError(f"{_CALL}: is_causal=True is a hint, expected attn_mask with it")
        if not has_batch and key_padding_mask is not None:
            array_of(_CALL, key_padding_mask, "key_padding_mask")
            key_padding_mask = unsqueeze(key_padding_mask, 0)
        same = query is key and key is value
        q = self._batch_first(query, has_batch)
        k = q if same else self._batch_first(key, has_batch)
        v = q if same else self._batch_first(value, has_batch)
        sizes = (q.shape[0], q.shape[1], k.shape[1])
        mask = self._mask(attn_mask, key_padding_mask, sizes, query.dtype)
        rate = self.dropout if self.training else 0.0
        weight = self.in_proj_weight
        if same and not need_weights and weight is not None and self._is_joined(mask, rate):
            only_causal = is_causal and key_padding_mask is None
            joined = linear(q, weight, self.in_proj_bias)
            y = self_attention(joined, self.num_heads, None if only_causal else mask, only_causal)
            return self._arranged(self.out_proj(y), has_batch), None
        q, k, v = self._project(q, k, v)
        q = self._heads(q)
        k = self._heads(self._extended(k, self.bias_k))
        v = self._heads(self._extended(v, self.bias_v))
        weights = None
        if need_weights:
            weights = attention_weights(q, k, mask)
            if rate > 0:
                weights = drop(weights, rate, True)
            y = matmul(weights, v)
            weights = mean(weights, 1) if average_attn_weights else weights
        else:
            only_causal = is_causal and key_padding_mask is None and k.shape[2] == sizes[2]
            given = None if only_causal else mask
            y = scaled_dot_product_attention(q, k, v, given, rate, is_causal=only_causal)
        output = self.out_proj(reshape(transpose(y, 1, 2), (*sizes[:2], self.embed_dim)))
        if not has_batch and weights is not None:
            weights = squeeze(weights, 0)
        return self._arranged(output, has_batch), weights

    def _is_joined(self, mask: Tensor | None, rate: float) -> bool:
        """Whether self-attention may run on the joined projection as it lies."""
        return (
            self.bias_k is None
            and not self.add_zero_attn
            and rate == 0
            and (mask is None or not mask.requires_grad)
        )

    def _arranged(self, output: Tensor, has_batch: bool) -> Tensor:
        """Return (N, L, E) as the query was arranged."""
        if not has_batch:
            return squeeze(output, 0)
        return output if self.batch_first else transpose(output, 0, 1)

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> bool:
        """Check the shapes of the inputs; return whether they have a batch dimension."""
        shapes = [
            array_of(_CALL, x, name).shape
            for name, x in (("query", query), ("key", key), ("value", value))
        ]
        ndim = len(shapes[0])
        if ndim not in (2, 3):
            raise ValueError(f"{_CALL}: query has shape {shapes[0]}, expected 2 or 3 dimensions")
        length_dim = 1 if self.batch_first and ndim == 3 else 0
        features = (self.embed_dim, self.kdim, self.vdim)
        for name, shape, size in zip(("query", "key", "value"), shapes, features, strict=True):
            if len(shape) != ndim:
                raise ValueError(
                    f"{_CALL}: {name} has shape {shape}, expected {ndim} dimensions as query has"
                )
            wanted = [*shapes[0][:-1], size]
            if name != "query":
                wanted[length_dim] = shapes[1][length_dim]
            if list(shape) != wanted:
                raise ValueError(f"{_CALL}: {name} has shape {shape}, expected {tuple(wanted)}")
        return ndim == 3

    def _batch_first(self, x: Tensor, has_batch: bool) -> Tensor:
        if not has_batch:
            return unsqueeze(x, 0)
        return x if self.batch_first else transpose(x, 0, 1)


def _check_mask_dtype(name: str, mask: Tensor) -> None:
    dtype = array_of(_CALL, mask, name).dtype
    if dtype != bool_ and dtype not in FLOATING:
        raise TypeError(f"{_CALL}: {name} is {dtype}, expected bool or a floating dtype")


def _as_added(mask: Tensor, dtype: DType) -> Tensor:
    """Return a mask as numbers to add to the scores: -inf where a boolean one forbids."""
    if mask.dtype != bool_:
        return to(mask, dtype)
    zero = zeros(1, dtype=dtype, device=mask.device)
    return where(mask, -math.inf, zero)
