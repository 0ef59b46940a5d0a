# SPDX-License-Identifier: Apache-2.0
"""Worlds of cells: what a step leads to, as matrices, and as a walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

import gradsmith as gs
from gradsmith.backend import Array
from gradsmith.tensor import Tensor

UP, RIGHT, DOWN, LEFT = range(4)
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
WALL, START = "#", "S"


class GridWorld:
    """Cells in rows of characters: ``#`` a wall, ``S`` the start, others may have a reward.

    A cell with an ``end`` reward is terminal; every other cell has the reward ``step``. A move goes
    where it should with probability 1 - slip, and to either side of that with slip / 2 each; into
    a wall it stays.

    Attributes:
        cells: (row, column) of each state, in reading order.
        transitions: (4, S, S), probability of each next state; 0 from terminal states.
        rewards: (S,), for being in a state.
        terminal: (S,), bool.
        start: the state of ``S``.
    """

    def __init__(
        self, rows: Sequence[str], ends: Mapping[str, float], step: float, slip: float
    ) -> None:
        """Make the matrices."""
        self.shape = len(rows), len(rows[0])
        kinds = {(i, j): kind for i, row in enumerate(rows) for j, kind in enumerate(row)}
        self.cells = [cell for cell, kind in kinds.items() if kind != WALL]
        self.start = next(s for s, cell in enumerate(self.cells) if kinds[cell] == START)
        self._slip = slip
        self._place = {cell: state for state, cell in enumerate(self.cells)}
        found = [ends.get(kinds[cell]) for cell in self.cells]
        self.terminal = np.array([each is not None for each in found])
        self.rewards = gs.tensor(
            [step if each is None else each for each in found], dtype=gs.float64
        )
        matrices = np.zeros((4, len(self.cells), len(self.cells)))
        for state in np.flatnonzero(~self.terminal).tolist():
            for action in range(4):
                for way, chance in self._outcomes(action):
                    matrices[action, state, self._after(state, way)] += chance
        self.transitions = gs.tensor(matrices)

    def _outcomes(self, action: int) -> list[tuple[int, float]]:
        slip = self._slip
        return [(action, 1 - slip), ((action + 1) % 4, slip / 2), ((action - 1) % 4, slip / 2)]

    def _after(self, state: int, way: int) -> int:
        (row, column), (down, across) = self.cells[state], MOVES[way]
        return self._place.get((row + down, column + across), state)

    def on_grid(self, values: Tensor | Array, fill: float = 0.0) -> Array:
        """Return numbers by state (S,) at their cells (rows, columns), ``fill`` in walls."""
        numbers = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
        grid = np.full(self.shape, fill)
        for cell, number in zip(self.cells, numbers, strict=True):
            grid[cell] = number
        return grid

    @property
    def walls(self) -> Array:
        """True where nobody can stand, bool (rows, columns)."""
        return np.asarray(self.on_grid(np.ones(len(self.cells))) == 0)

    def shown(self, policy: Tensor) -> Array:
        """Return a policy (S,) on the grid for `viz.plot_value_grid`, terminal cells without."""
        return self.on_grid(np.where(self.terminal, -1, policy.numpy()), fill=-1)

    def walk(self, policy: Tensor, random: np.random.Generator, limit: int = 1000) -> list[int]:
        """Return the states that a policy goes through from the start to a terminal one."""
        actions, matrices = policy.tolist(), self.transitions.numpy()
        states = [self.start]
        while not self.terminal[states[-1]] and len(states) <= limit:
            chances = matrices[actions[states[-1]], states[-1]]
            states.append(int(random.choice(len(chances), p=chances)))
        return states
