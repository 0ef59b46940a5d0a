# SPDX-License-Identifier: Apache-2.0
"""Transforms made of others. What they call are functions of one image, or of a batch's parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gradsmith.data.keyed_random import sample_generator
from gradsmith.data.transforms.options import check_probability, numbers


class _Container:
    """Keeps its transforms and shows them, one a line."""

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        op = type(self).__name__
        if not isinstance(transforms, (list, tuple)):
            kind = type(transforms).__name__
            raise TypeError(f"{op}: transforms is a {kind}, expected a list of functions")
        for each in transforms:
            if not callable(each):
                raise TypeError(f"{op}: {each!r} is no function")
        self.transforms = list(transforms)

    def __repr__(self) -> str:
        """Return the name, the options and the transforms."""
        options = [f"    {k}={v}" for k, v in vars(self).items() if k != "transforms"]
        inner = ["    " + repr(each).replace("\n", "\n    ") for each in self.transforms]
        return "\n".join([f"{type(self).__name__}(", *options, *inner, ")"])


def _chained(transforms: Iterable[Callable[..., Any]], inputs: tuple[Any, ...]) -> Any:
    """Call one function after the other, each with what the one before returned."""
    for transform in transforms:
        result = transform(*inputs)
        inputs = result if isinstance(result, tuple) else (result,)
    return inputs[0] if len(inputs) == 1 else inputs


class Compose(_Container):
    """Calls one transform after the other.

    >>> from gradsmith.data import transforms
    >>> transforms.Compose([transforms.RandomCrop(28, padding=2), transforms.Normalize(0.5, 0.5)])
    Compose(
        RandomCrop(size=(28, 28), padding=2, pad_if_needed=False, fill=0.0, padding_mode='constant')
        Normalize(mean=(0.5,), std=(0.5,))
    )
    """

    def __call__(self, *inputs: Any) -> Any:
        """Return what the last transform returns."""
        return _chained(self.transforms, inputs)


class RandomApply(_Container):
    """Calls all of its transforms with probability ``p``, otherwise none."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: float = 0.5) -> None:
        """Keep them; ValueError unless 0 <= p <= 1."""
        self.p = check_probability("RandomApply", p)
        super().__init__(transforms)

    def __call__(self, *inputs: Any) -> Any:
        """Return the changed image, or the same."""
        return _chained(self.transforms if sample_generator().random() < self.p else (), inputs)


class RandomChoice(_Container):
    """Calls one of its transforms.

    Args:
        transforms: to choose from.
        p: their weights; None: all alike.

    Raises:
        ValueError: there are none, or the weights are not as many, negative or all 0.
    """

    def __init__(
        self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None
    ) -> None:
        """Keep them."""
        super().__init__(transforms)
        if not self.transforms:
            raise ValueError("RandomChoice: transforms is empty, expected at least one")
        self.p = None if p is None else numbers("RandomChoice", "p", p)
        if self.p is not None and (
            len(self.p) != len(self.transforms) or min(self.p) < 0 or sum(self.p) == 0
        ):
            raise ValueError(
                f"RandomChoice: p is {p}, expected {len(self.transforms)} weights >= 0, not all 0"
            )

    def __call__(self, *inputs: Any) -> Any:
        """Return what the chosen transform returns."""
        share = None if self.p is None else np.asarray(self.p) / sum(self.p)
        which = int(sample_generator().choice(len(self.transforms), p=share))
        return self.transforms[which](*inputs)


class RandomOrder(_Container):
    """Calls all of its transforms in a random order."""

    def __call__(self, *inputs: Any) -> Any:
        """Return what the last one returns."""
        order = sample_generator().permutation(len(self.transforms))
        return _chained((self.transforms[each] for each in order), inputs)
