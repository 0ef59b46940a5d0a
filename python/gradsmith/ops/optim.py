# SPDX-License-Identifier: Apache-2.0
"""An optimiser's step as one kernel call; not differentiable.

The arrays are kept between steps: gathering them anew would cost more than a small step.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import is_
from typing import Any

import numpy as np

from gradsmith.backend import EXTENSIONS, Array
from gradsmith.tensor import Tensor, wrap


def _same(held: list[Any], given: list[Any]) -> bool:
    return len(held) == len(given) and all(map(is_, held, given))


class Work:
    """One group's parameters and states as the kernels take them, kept from step to step.

    States that are numbers, as the counts of steps, are views of one array per name, so that all
    of them advance by one operation. They stay on the host for every device: the host computes
    with them before each step.
    """

    def __init__(self, owner: str, params: list[Tensor], entries: list[dict[str, Any]]) -> None:
        """Take who is to blame in errors, the parameters to update, and their states.

        The kernels want parameters in C order.
        """
        self.owner = owner
        self.params = params
        self.entries = entries
        self.names: tuple[str | None, ...] = ()
        self.arrays = [param._array for param in params]
        self.extension = EXTENSIONS[type(self.arrays[0])]
        self.columns: dict[str, list[Array]] = {}
        self.group: Any = None  # the parameters with their states, as the kernels take them
        self.scalars: dict[str, Array] = {}
        self.steps: list[float] = []  # where no step is counted: 1 at the first, then 2
        self._later: dict[str, Array] = {}
        self._dense = [
            array if array.flags.c_contiguous else self.extension.copy_of(array)
            for array in self.arrays
        ]
        self._strided = not _same(self._dense, self.arrays)

    def take_states(self, names: tuple[str | None, ...]) -> None:
        """Take the states named, one tuple per parameter; None stands for one that is not used."""
        self.names = names
        for name in names:
            if name is not None:
                self.columns[name] = [entry[name]._array for entry in self.entries]
        unused: list[Array | None] = [None] * len(self.params)
        columns = [unused if name is None else self.columns[name] for name in names]
        states = list(zip(*columns, strict=True)) if columns else [()] * len(self.params)
        self.group = self.extension.optim_group(self.owner, self._dense, states)

    def take_scalars(self, names: Iterable[str]) -> None:
        """Gather the states that are numbers, each in one array, of which they become views."""
        for name in names:
            values = np.array([float(entry[name]._array) for entry in self.entries], np.float32)
            for i, entry in enumerate(self.entries):
                entry[name] = wrap(values[i : i + 1].reshape(()))
            self.columns[name] = [entry[name]._array for entry in self.entries]
            self.scalars[name] = values

    def fits(self, params: list[Tensor], entries: list[Any], names: tuple[str | None, ...]) -> bool:
        """Whether these are still the parameters and states, none of them replaced since."""
        return (
            not self._strided
            and self.names == names
            and _same(self.params, params)
            and _same(self.arrays, [param._array for param in params])
            and _same(self.entries, entries)
            and all(
                _same(held, [entry[name]._array for entry in entries if name in entry])
                for name, held in self.columns.items()
            )
        )

    def checked(self, later: dict[str, Array], numbers: list[Any]) -> Any:
        """Return the tensors of this step, after checking the gradients, for `run`.

        Args:
            later: what the scalars are after the step.
            numbers: what the kernel takes of each parameter besides, or nothing.
        """
        grads = [param.grad._array for param in self.params]  # type: ignore[union-attr]
        steps = later["step"].tolist() if later else self.steps
        self._later = later
        return self.extension.optim_tensors(self.group, grads, steps, numbers)

    def run(self, kernel: str, tensors: Any, options: tuple[Any, ...]) -> None:
        """Update every parameter and state by one call."""
        getattr(self.extension, kernel)(tensors, *options)
        for name, values in self._later.items():
            self.scalars[name][:] = values
        if self.steps:
            self.steps = [2.0] * len(self.params)
        if self._strided:
            for array, dense in zip(self.arrays, self._dense, strict=True):
                self.extension.copy(array, dense)
        for param in self.params:
            if param._version is not None:
                param._bump()
