# SPDX-License-Identifier: Apache-2.0
"""Memories of transitions, from which reinforcement learning draws its batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradsmith.backend import Array, on_host
from gradsmith.data.dataset import check_indices, index_array
from gradsmith.data.keyed_random import LazySeed, uniform
from gradsmith.data.sampler import check_batch_size
from gradsmith.ops.options import check_int, check_number
from gradsmith.tensor import Tensor, as_array, wrap


class _Ring:
    """The last ``capacity`` transitions in arrays of one row each, and a keyed random stream."""

    def __init__(self, capacity: int, seed: Any = None) -> None:
        self._op = type(self).__name__
        if check_int(self._op, "capacity", capacity) < 1:
            raise ValueError(f"{self._op}: capacity is {capacity}, expected at least 1")
        self.capacity = capacity
        self._seed = LazySeed(self._op, seed)
        self._draws = 0
        self._added = 0
        self._fields: list[Array] = []

    def __len__(self) -> int:
        """Return the number of transitions in the memory."""
        return min(self._added, self.capacity)

    def add(self, *fields: Any) -> None:
        """Store a transition, in place of the oldest one when the memory is full.

        Args:
            *fields: numbers, arrays or tensors, such as state, action, reward, next state and
                whether the episode ended. The first transition fixes their number, shapes and
                dtypes.

        Raises:
            ValueError: another number of fields, or another shape or dtype of one.
        """
        rows = [on_host(as_array(field)) for field in fields]
        if not self._added:
            if not rows:
                raise ValueError(f"{self._op}: a transition has no fields")
            self._fields = [np.zeros((self.capacity, *row.shape), row.dtype) for row in rows]
        if len(rows) != len(self._fields):
            raise ValueError(
                f"{self._op}: a transition has {len(rows)} fields, expected {len(self._fields)}"
            )
        for which, (row, field) in enumerate(zip(rows, self._fields, strict=True)):
            if row.shape != field.shape[1:] or row.dtype != field.dtype:
                raise ValueError(
                    f"{self._op}: field {which} is {row.dtype} {row.shape}, expected "
                    f"{field.dtype} {field.shape[1:]}"
                )
        where = self._added % self.capacity
        for row, field in zip(rows, self._fields, strict=True):
            field[where] = row
        self._added += 1

    def _random(self, batch_size: int) -> Array:
        """Return numbers in [0, 1), of shape (batch_size,)."""
        check_batch_size(self._op, batch_size)
        if not self._added:
            raise ValueError(f"{self._op}: the memory is empty")
        self._draws += 1
        return uniform(batch_size, self._seed.value, self._draws)

    def _at(self, indices: Array) -> list[Tensor]:
        return [wrap(field[indices]) for field in self._fields]

    def state_dict(self) -> dict[str, Any]:
        """Return the transitions and the place in the random stream, for `gradsmith.save`."""
        fields = [wrap(field[: len(self)].copy()) for field in self._fields]
        added = {"added": self._added, "draws": self._draws, "seed": self._seed.drawn}
        return {"fields": fields, **added}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; ValueError if it does not fit the capacity."""
        rows = [on_host(field._array) for field in state["fields"]]
        expected = min(state["added"], self.capacity)
        if any(len(row) != expected for row in rows):
            raise ValueError(
                f"{self._op}: the state has {len(rows[0])} transitions of {state['added']} added, "
                f"which a capacity of {self.capacity} does not give"
            )
        self._fields = [np.zeros((self.capacity, *row.shape[1:]), row.dtype) for row in rows]
        for field, row in zip(self._fields, rows, strict=True):
            field[: len(row)] = row
        self._added, self._draws = state["added"], state["draws"]
        self._seed.restore(state["seed"])


class ReplayBuffer(_Ring):
    """The last ``capacity`` transitions, drawn uniformly (Lin 1992; Mnih et al. 2015).

    >>> memory = ReplayBuffer(1000, seed=0)
    >>> memory.add([0.0, 1.0], 1, 0.5, [1.0, 1.0], False)
    >>> state, action, reward, next_state, done = memory.sample(4)
    >>> state.shape, action.shape
    ((4, 2), (4,))

    Args:
        capacity: the most transitions that are kept.
        seed: an int, a Generator, or None for the library's generator.

    Raises:
        ValueError: the capacity is below 1.
    """

    def sample(self, batch_size: int) -> list[Tensor]:
        """Return a tensor (B, ...) for each field, of B transitions drawn with replacement.

        Raises:
            ValueError: the memory is empty, or the batch size is below 1.
        """
        draws = self._random(batch_size)
        return self._at((draws * len(self)).astype(np.int64))


class PrioritizedReplayBuffer(_Ring):
    """Transitions drawn in proportion to a power of their priority (Schaul et al. 2016).

    P(i) = p_i^alpha / sum p^alpha, with p_i = |error_i| + eps; a new transition has the largest
    priority so far. The draws of a batch come from equal parts of the sum.

    Args:
        capacity: the most transitions that are kept.
        alpha: 0 draws uniformly.
        beta: how far weights correct for the unequal draws; 1 wholly.
        eps: added to every priority.
        seed: an int, a Generator, or None for the library's generator.

    Raises:
        ValueError: the capacity is below 1, or an option is negative.
    """

    def __init__(
        self,
        capacity: int,
        alpha: float = 0.6,
        beta: float = 0.4,
        eps: float = 1e-6,
        seed: Any = None,
    ) -> None:
        """Make the memory and its tree of sums."""
        super().__init__(capacity, seed)
        for name, value in (("alpha", alpha), ("beta", beta), ("eps", eps)):
            if not check_number(self._op, name, value) >= 0:
                raise ValueError(f"{self._op}: {name} is {value}, expected >= 0")
        self.alpha, self.beta, self.eps = alpha, beta, eps
        # Node n holds the sum of its children 2n and 2n + 1; the leaves begin at `_leaves`.
        self._leaves = 1 << (capacity - 1).bit_length()
        self._sums = np.zeros(2 * self._leaves)
        self._largest = 1.0

    def add(self, *fields: Any) -> None:
        """Store a transition with the largest priority so far; see `ReplayBuffer`."""
        super().add(*fields)
        where = (self._added - 1) % self.capacity
        self._set(np.array([where]), np.array([self._largest]))

    def _set(self, indices: Array, priorities: Array) -> None:
        nodes = indices + self._leaves
        self._sums[nodes] = priorities**self.alpha
        while nodes[0] > 1:
            nodes = np.unique(nodes // 2)
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]

    def sample(
        self, batch_size: int, beta: float | None = None
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the fields of B draws, their indices and their importance weights.

        Weights are (N P(i))^-beta divided by the largest of the batch, float32 of shape (B,);
        indices, int64 of shape (B,), are for `update_priorities`.

        Raises:
            ValueError: the memory is empty, or the batch size is below 1.
        """
        draws = self._random(batch_size)
        total = self._sums[1]
        rest = (np.arange(batch_size) + draws) / batch_size * total
        nodes = np.ones(batch_size, dtype=np.int64)
        while nodes[0] < self._leaves:
            left = self._sums[2 * nodes]
            # Rounding must not lead into a part of the tree where nothing is.
            goes_right = (rest >= left) & (self._sums[2 * nodes + 1] > 0)
            rest = rest - np.where(goes_right, left, 0)
            nodes = 2 * nodes + goes_right
        share = self._sums[nodes] / total
        exponent = self.beta if beta is None else check_number(self._op, "beta", beta)
        weights = (len(self) * share) ** -exponent
        indices = nodes - self._leaves
        scaled = (weights / weights.max()).astype(np.float32)
        return self._at(indices), wrap(indices), wrap(scaled)

    def update_priorities(self, indices: Any, errors: Any) -> None:
        """Set the priorities of transitions to their absolute (temporal-difference) errors + eps.

        Raises:
            IndexError: an index is out of range.
            ValueError: there is not one finite error for each index.
        """
        host = on_host(indices._array) if isinstance(indices, Tensor) else indices
        places = index_array(self._op, host)
        check_indices(self._op, places, len(self))
        priorities = np.abs(on_host(as_array(errors)).astype(np.float64)) + self.eps
        if priorities.shape != places.shape or not np.isfinite(priorities).all():
            raise ValueError(
                f"{self._op}: errors of shape {priorities.shape} for {places.shape} indices, "
                "expected one finite number for each"
            )
        if len(places):
            self._set(places % len(self), priorities)
            self._largest = max(self._largest, float(priorities.max()))

    def state_dict(self) -> dict[str, Any]:
        """Return transitions, priorities and the place in the random stream."""
        leaves = self._sums[self._leaves : self._leaves + len(self)]
        return {**super().state_dict(), "powers": wrap(leaves.copy()), "largest": self._largest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; ValueError if it does not fit the capacity."""
        super().load_state_dict(state)
        self._largest = state["largest"]
        self._sums[:] = 0
        self._sums[self._leaves : self._leaves + len(self)] = on_host(state["powers"]._array)
        for node in range(self._leaves - 1, 0, -1):
            self._sums[node] = self._sums[2 * node] + self._sums[2 * node + 1]
