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
from gradsmith.tensor import Tensor, array_of


class _Table(Module):
    """The table, its options and its initialisation, which the two lookups share."""

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Tensor | None,
        freeze: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.num_embeddings = checked_int(name, "num_embeddings", num_embeddings)
        self.embedding_dim = checked_int(name, "embedding_dim", embedding_dim)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"{name}: padding_idx is {padding_idx}, expected a row of {num_embeddings}"
                )
            padding_idx %= num_embeddings
        if sparse:
            raise ValueError(f"{name}: sparse is True; sparse gradients are not supported")
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if weight is None:
            self.weight = new_parameter(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.reset_parameters()
            self.weight.requires_grad_(not freeze)
        else:
            if array_of(name, weight, "_weight").shape != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"{name}: the table has shape {weight.shape}, expected "
                    f"{(num_embeddings, embedding_dim)}"
                )
            self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self) -> None:
        """Draw the rows anew and zero the padding row."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def _sizes(self) -> list[str]:
        return [str(self.num_embeddings), str(self.embedding_dim)]

    def _padding(self) -> list[str]:
        return [] if self.padding_idx is None else [f"padding_idx={self.padding_idx}"]

    def _scaling(self) -> list[str]:
        defaults = {"max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        given = {name: getattr(self, name) for name in defaults}
        return [f"{name}={value}" for name, value in given.items() if value != defaults[name]]

    def _label(self) -> str:
        return f"{type(self).__name__} {self.num_embeddings} x {self.embedding_dim}"


def _sizes_of(layer: str, embeddings: Tensor) -> tuple[int, int]:
    if array_of(f"{layer}.from_pretrained", embeddings, "embeddings").ndim != 2:
        raise ValueError(
            f"{layer}.from_pretrained: embeddings has shape {embeddings.shape}, expected 2 "
            "dimensions"
        )
    rows, columns = embeddings.shape
    return rows, columns


class Embedding(_Table):
    """Looks up a row of ``weight`` for every index: (*) int64 to (*, embedding_dim).

    Attributes:
        weight: (num_embeddings, embedding_dim), standard normal at first; row ``padding_idx`` is 0
            and gets no gradient.
    """

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
        options = (max_norm, norm_type, scale_grad_by_freq, sparse, _weight, _freeze, device, dtype)
        super().__init__(num_embeddings, embedding_dim, padding_idx, *options)

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
        rows, columns = _sizes_of("Embedding", embeddings)
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
        return ", ".join([*self._sizes(), *self._padding(), *self._scaling()])


class EmbeddingBag(_Table):
    """Looks up the rows of each bag of ids and returns their sum, mean or maximum.

    Attributes:
        weight: (num_embeddings, embedding_dim), standard normal at first; row ``padding_idx`` is 0.

    Example:
        >>> import gradsmith as gs
        >>> bag = gs.nn.EmbeddingBag.from_pretrained(gs.tensor([[1.0], [2.0], [4.0]]), mode="sum")
        >>> bag(gs.tensor([0, 2, 1]), offsets=gs.tensor([0, 2])).tolist()
        [[5.0], [2.0]]
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the table.

        Args:
            num_embeddings: rows.
            embedding_dim: size of a row.
            max_norm: rows that are looked up are scaled down to this norm.
            norm_type: the p of that norm.
            scale_grad_by_freq: divide gradients by how often a row occurs in the batch.
            mode: ``"sum"``, ``"mean"`` or ``"max"``.
            sparse: accepted as False only.
            _weight: the table, if it exists already.
            include_last_offset: whether ``offsets`` ends with the size of the input.
            padding_idx: a row that counts for nothing; negative ones count from the end.
            device: where the table is.
            dtype: floating dtype of the table.

        Raises:
            ValueError: a size is not positive, ``padding_idx`` is no row, or an option is not
                supported.
        """
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"EmbeddingBag: mode is {mode!r}, expected 'sum', 'mean' or 'max'")
        options = (max_norm, norm_type, scale_grad_by_freq, sparse, _weight, False, device, dtype)
        super().__init__(num_embeddings, embedding_dim, padding_idx, *options)
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """Return bags of the rows of a matrix, by default not trained.

        Raises:
            ValueError: ``embeddings`` has not 2 dimensions.
        """
        rows, columns = _sizes_of("EmbeddingBag", embeddings)
        bag = cls(
            rows,
            columns,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            embeddings,
            include_last_offset,
            padding_idx,
        )
        bag.weight.requires_grad_(not freeze)
        return bag

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        """Return (B, embedding_dim) for ids (B, N), or (T,) with the offsets of B bags."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        """Return the sizes, and the options that are not at their defaults."""
        mode = f"mode={self.mode!r}"
        return ", ".join([*self._sizes(), *self._scaling(), mode, *self._padding()])
