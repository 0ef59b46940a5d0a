# SPDX-License-Identifier: Apache-2.0
"""A softmax over very many classes, of which most are rare (Grave et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradsmith.nn.container import ModuleList, Sequential
from gradsmith.nn.linear import Linear
from gradsmith.nn.module import Module
from gradsmith.nn.sizes import checked_int
from gradsmith.ops.creation import zeros
from gradsmith.ops.elementwise import add, as_floating, ge, lt, neg, sub, where
from gradsmith.ops.indexing import gather
from gradsmith.ops.joining import cat
from gradsmith.ops.options import check_flag, check_number
from gradsmith.ops.reduce import argmax, mean
from gradsmith.ops.shape import reshape, squeeze, unsqueeze
from gradsmith.ops.softmax import log_softmax
from gradsmith.ops.sorting_search import nonzero
from gradsmith.tensor import Tensor


class AdaptiveResult(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` returns."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of targets among many classes, sorted by how often they occur.

    The frequent classes and one entry per group of rarer ones make up a first softmax (the head); a
    group's own softmax is computed for the samples whose target lies in it alone, from fewer
    features.

    Attributes:
        head: from in_features to ``cutoffs[0]`` classes and the groups.
        tail: for each group a projection to ``in_features / div_value ** (i + 1)`` features, then
            to its classes.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the head and the groups.

        Args:
            in_features: size of a sample.
            n_classes: number of classes, class 0 the most frequent.
            cutoffs: where groups begin: rising class numbers from 1 to n_classes - 1.
            div_value: by how much the features of each group are fewer than those before.
            head_bias: whether the head has a bias.
            device: of the parameters.
            dtype: of the parameters.

        Raises:
            ValueError: the cutoffs do not rise or lie outside, or a size is out of range.
            TypeError: an option has another type.
        """
        super().__init__()
        name = type(self).__name__
        self.in_features = checked_int(name, "in_features", in_features)
        self.n_classes = checked_int(name, "n_classes", n_classes)
        starts = [checked_int(name, "cutoffs", each) for each in cutoffs]
        if not starts or sorted(set(starts)) != starts or starts[-1] >= n_classes:
            raise ValueError(
                f"{name}: cutoffs is {list(cutoffs)}, expected rising ints from 1 to n_classes - 1"
            )
        if not check_number(name, "div_value", div_value) > 0:
            raise ValueError(f"{name}: div_value is {div_value}, expected > 0")
        self.cutoffs = [*starts, n_classes]
        self.div_value = div_value
        self.head_bias = check_flag(name, "head_bias", head_bias)
        self.shortlist_size = starts[0]
        self.n_clusters = len(starts)
        self.head_size = self.shortlist_size + self.n_clusters
        place = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **place)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            narrow = max(int(in_features // div_value ** (i + 1)), 1)
            classes = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, narrow, bias=False, **place),
                    Linear(narrow, classes, bias=False, **place),
                )
            )

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> AdaptiveResult:
        """Return the log-probability of each target, and the mean of their negatives.

        Args:
            input: (N, in_features), or (in_features).
            target: (N), or (): classes.

        Raises:
            ValueError: the shapes do not fit.
            IndexError: a target is no class.
        """
        self._check(input, target)
        batch = unsqueeze(input, 0) if input.ndim == 1 else input
        targets = reshape(target, (-1,))
        if targets.numel() and not 0 <= int(targets.min()) <= int(targets.max()) < self.n_classes:
            raise IndexError(f"target has a class that is not among 0 to {self.n_classes - 1}")
        entries, rest = targets, zeros(batch.shape[0], dtype=batch.dtype, device=batch.device)
        for i, tail in enumerate(self.tail):
            low, high = self.cutoffs[i : i + 2]
            rows = nonzero(ge(targets, low) & lt(targets, high))[:, 0]
            entries = where(ge(targets, low), self.shortlist_size + i, entries)
            if rows.numel():
                within = unsqueeze(sub(targets[rows], low), 1)
                shares = gather(log_softmax(tail(batch[rows]), 1), 1, within)
                rest = rest.index_add(0, rows, squeeze(shares, 1).to(rest.dtype))
        first = gather(log_softmax(self.head(batch), 1), 1, unsqueeze(entries, 1))
        output = add(squeeze(first, 1), rest)
        loss = mean(neg(output))
        return AdaptiveResult(squeeze(output, 0) if input.ndim == 1 else output, loss)

    def _check(self, input: Tensor, target: Tensor) -> None:
        if input.ndim not in (1, 2) or target.shape != input.shape[:-1]:
            raise ValueError(
                f"input has shape {input.shape} and target {target.shape}, expected "
                "(N, in_features) and (N), or (in_features) and ()"
            )
        if target.dtype.kind not in "iu":
            raise TypeError(f"target is {target.dtype}, expected integers")

    def log_prob(self, input: Tensor) -> Tensor:
        """Return the log-probabilities (N, n_classes) of all classes for (N, in_features)."""
        head = log_softmax(self.head(as_floating(input)), -1)
        parts = [head[..., : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            group = unsqueeze(head[..., self.shortlist_size + i], -1)
            parts.append(add(log_softmax(tail(input), -1), group))
        return cat(parts, -1)

    def predict(self, input: Tensor) -> Tensor:  # type: ignore[override]
        """Return the most probable class (N) of each sample (N, in_features).

        PyTorch's name, in place of Keras's `Module.predict`.
        """
        return argmax(self.log_prob(input), -1)
