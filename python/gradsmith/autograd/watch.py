# SPDX-License-Identifier: Apache-2.0
"""Watchers see every op as it is recorded and every backward rule as it runs, on their thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gradsmith.autograd.mode import mode


class Watcher:
    """Base of what looks at ops: the search for anomalies, the count of multiplications."""

    def forward(self, op: str, outs: Sequence[Any], inputs: tuple[Any, ...]) -> None:
        """See an op (its name as in ``"conv"``), its result tensors and what went in."""

    def backward(self, node: Any, *grads: Any) -> Any:
        """Run a node's rule on the gradients that arrived and return what it returns."""
        return node.backward(node, *grads)


@contextmanager
def watching(watcher: Watcher | None) -> Iterator[None]:
    """Let ``watcher`` (None: nobody) see the ops of a block, in place of the one before."""
    previous, mode.watcher = mode.watcher, watcher
    try:
        yield
    finally:
        mode.watcher = previous
