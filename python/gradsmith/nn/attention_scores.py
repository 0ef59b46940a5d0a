# SPDX-License-Identifier: Apache-2.0
"""Attention of a decoder on an encoder's states, by additive scores or by products."""

from __future__ import annotations

from typing import Any

from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.linear import Linear
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.ops.shape import squeeze, unsqueeze
from gradsmith.tensor import Tensor, array_of

Attended = tuple[Tensor, Tensor]


class _Attention(Module):
    """The call of both: a query without a length is one of length 1."""

    def _scored(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Attended:
        raise NotImplementedError

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Attended:
        """Return the context and the attention weights.

        Args:
            query: (N, L, query_dim), or (N, query_dim) for one step.
            key: (N, S, key_dim).
            value: (N, S, V), the keys by default.
            mask: bool (N, S) or (N, L, S), True for keys that may be seen; of lengths it is
                ``length_mask(lengths, S)``.

        Returns:
            (N, L, V) and (N, L, S), without L if the query has none; zeros without a key to see.

        Raises:
            ValueError: a shape does not fit.
            TypeError: the mask is not bool.
        """
        is_step = array_of(type(self).__name__.lower(), query, "query").ndim == 2
        steps = unsqueeze(query, 1) if is_step else query
        context, weights = self._scored(steps, key, key if value is None else value, mask)
        return (squeeze(context, 1), squeeze(weights, 1)) if is_step else (context, weights)


class AdditiveAttention(_Attention):
    """Attention with the scores ``v . tanh(W query + U key + b)`` (Bahdanau et al. 2015).

    Attributes:
        query_proj: `Linear` W without bias.
        key_proj: `Linear` U with bias b.
        weight: v, (hidden_dim).

    Example:
        >>> import gradsmith as gs
        >>> attention = gs.nn.AdditiveAttention(4, 6, 8)
        >>> context, weights = attention(gs.randn(2, 4), gs.randn(2, 5, 6))
        >>> context.shape, weights.shape
        ((2, 6), (2, 5))
    """

    weight: Parameter

    def __init__(
        self,
        query_dim: int,
        key_dim: int,
        hidden_dim: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: a size is not positive.
        """
        super().__init__()
        self.query_dim = checked_int("AdditiveAttention", "query_dim", query_dim)
        self.key_dim = checked_int("AdditiveAttention", "key_dim", key_dim)
        self.hidden_dim = checked_int("AdditiveAttention", "hidden_dim", hidden_dim)
        self.query_proj = Linear(query_dim, hidden_dim, bias=False, device=device, dtype=dtype)
        self.key_proj = Linear(key_dim, hidden_dim, device=device, dtype=dtype)
        self.weight = new_parameter(hidden_dim, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight anew, uniform within 1 / sqrt(hidden_dim)."""
        bound = self.hidden_dim**-0.5
        init.uniform_(self.weight, -bound, bound)

    def _scored(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Attended:
        projected = (self.query_proj(query), self.key_proj(key))
        return F.additive_attention(*projected, value, self.weight, mask)


class DotAttention(_Attention):
    """Attention with the scores ``query . key`` or ``query . W key`` (Luong et al. 2015).

    Luong's third score, of query and key concatenated, is that of `AdditiveAttention`.

    Attributes:
        weight: W, (query_dim, key_dim), with the score ``"general"``, else None.
    """

    weight: Parameter | None

    def __init__(
        self,
        score: str = "dot",
        query_dim: int | None = None,
        key_dim: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the parameter of the score ``"general"``, which needs both sizes; ``"dot"`` none.

        Raises:
            ValueError: the score is unknown, or a size is missing or not positive.
        """
        super().__init__()
        if score not in ("dot", "general"):
            raise ValueError(
                f"DotAttention: score is {score!r}, expected 'dot' or 'general' ('concat' is "
                "AdditiveAttention)"
            )
        self.score = score
        if score == "dot":
            self.register_parameter("weight", None)
            return
        if query_dim is None or key_dim is None:
            raise ValueError(
                f"DotAttention: query_dim is {query_dim} and key_dim is {key_dim}, expected ints "
                "with score 'general'"
            )
        sizes = [
            checked_int("DotAttention", name, size)
            for name, size in (("query_dim", query_dim), ("key_dim", key_dim))
        ]
        self.register_parameter("weight", new_parameter(*sizes, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight anew (Glorot)."""
        if self.weight is not None:
            init.xavier_uniform_(self.weight)

    def _scored(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Attended:
        projected = key if self.weight is None else F.linear(key, self.weight)
        return F.dot_attention(query, projected, value, mask)

    def extra_repr(self) -> str:
        """Return the score."""
        return f"score={self.score!r}"
