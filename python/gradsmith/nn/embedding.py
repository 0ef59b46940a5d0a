# SPDX-License-Identifier: Apache-2.0
"""Tables of vectors that are looked up by index."""

from __future__ import annotations

from typing import Any

from gradsmith.autograd import no_grad
from gradsmith.nn import functional as F
from gradsmith.nn import init
from gradsmith.nn.module import Module
from gradsmith.nn.parameter import Parameter
from gradsmith.nn.sizes import checked_int, new_parameter
from gradsmith.tensor import Tensor


class Embedding(Module):
    """Looks up a row of ``weight`` for every index: (*) int64 to (*, embedding_dim).

    Attributes:
        weight: (num_embeddings, embedding_dim), standard normal at first; row ``padding_idx`` is 0
            and gets no gradient.
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the table.

        Args:
            num_embeddings: rows.
            embedding_dim: size of a row.
            padding_idx: a row that is not trained; negative ones count from the end.
            max_norm: rows that are looked up are scaled down to this norm.
            norm_type: the p of that norm.
            scale_grad_by_freq: divide gradients by how often a row occurs in the batch.
            sparse: accepted as False only.
            _weight: the table, if it exists already.
            _freeze: do not train the table.
            device: where the table is.
            dtype: floating dtype of the table.

        Raises:
            ValueError: a size is not positive, ``padding_idx`` is no row, or an option is not
                supported.
        """
        super().__init__()
        self.num_embeddings = checked_int("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = checked_int("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"Embedding: padding_idx is {padding_idx}, expected a row of {num_embeddings}"
                )
            padding_idx %= num_embeddings
        if sparse:
            raise ValueError("Embedding: sparse is True; sparse gradients are not supported")
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            self.weight = new_parameter(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.reset_parameters()
            self.weight.requires_grad_(not _freeze)
        else:
            if _weight.shape != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"Embedding: the table has shape {_weight.shape}, expected "
                    f"{(num_embeddings, embedding_dim)}"
                )
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """Return an embedding with the rows of a matrix, by default not trained.

        Raises:
            ValueError: ``embeddings`` has not 2 dimensions.
        """
        if embeddings.ndim != 2:
            raise ValueError(
                f"Embedding.from_pretrained: embeddings has shape {embeddings.shape}, expected 2 "
                "dimensions"
            )
        rows, columns = embeddings.shape
        return cls(
            rows,
            columns,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def reset_parameters(self) -> None:
        """Draw the rows anew and zero the padding row."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows (*, embedding_dim)."""
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
        )

    def extra_repr(self) -> str:
        """Return the sizes, and the options that are not at their defaults."""
        parts = [str(self.num_embeddings), str(self.embedding_dim)]
        if self.padding_idx is not None:
            parts.append(f"padding_idx={self.padding_idx}")
        if self.max_norm is not None:
            parts.append(f"max_norm={self.max_norm}")
        if self.norm_type != 2:
            parts.append(f"norm_type={self.norm_type}")
        if self.scale_grad_by_freq:
            parts.append(f"scale_grad_by_freq={self.scale_grad_by_freq}")
        return ", ".join(parts)

    def _label(self) -> str:
        return f"Embedding {self.num_embeddings} x {self.embedding_dim}"
