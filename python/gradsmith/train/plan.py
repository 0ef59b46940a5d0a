# SPDX-License-Identifier: Apache-2.0
"""How long `fit` trains, what counts as an epoch, and when it validates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gradsmith.ops.options import check_int


def check_steps(op: str, argument: str, value: Any) -> int | None:
    """Return a number of batches, or None where there is none given.

    Raises:
        TypeError: it is no int.
        ValueError: it is below 1.
    """
    if value is None:
        return None
    steps = check_int(op, argument, value)
    if steps < 1:
        raise ValueError(f"{op}: {argument} is {steps}, expected >= 1")
    return steps


@dataclass(frozen=True)
class Plan:
    """How far a call of `fit` goes.

    Attributes:
        epochs: the numbers of the epochs.
        steps_per_epoch: batches of an epoch; None: those of a pass over the data.
        validation_steps: batches to validate on; None: all of them.
        validation_freq: validate after so many epochs, or after the epochs of these numbers,
            counted from 1.
    """

    epochs: range
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_freq: int | Collection[int] = 1

    @classmethod
    def checked(
        cls,
        epochs: Any,
        initial_epoch: Any,
        steps_per_epoch: Any,
        validation_steps: Any,
        validation_freq: Any,
    ) -> Plan:
        """Return the plan of these options of `fit`.

        Raises:
            TypeError, ValueError: one of them is none.
        """
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"fit: {name} is {value!r}, expected an int >= 0")
        if isinstance(validation_freq, Collection) and not isinstance(validation_freq, str):
            numbers = [check_int("fit", "validation_freq", each) for each in validation_freq]
        else:
            numbers = [check_int("fit", "validation_freq", validation_freq)]
        if min(numbers, default=1) < 1:
            raise ValueError(f"fit: validation_freq is {validation_freq!r}, expected >= 1")
        return cls(
            range(initial_epoch, epochs),
            check_steps("fit", "steps_per_epoch", steps_per_epoch),
            check_steps("fit", "validation_steps", validation_steps),
            validation_freq,
        )

    def validates(self, epoch: int) -> bool:
        """Whether to validate after an epoch, counted from 0."""
        if isinstance(self.validation_freq, Collection):
            return epoch + 1 in self.validation_freq
        return (epoch + 1) % self.validation_freq == 0
