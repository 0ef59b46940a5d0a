# SPDX-License-Identifier: Apache-2.0
"""Order along rows, columns and a long row; the first few of each, medians and single ranks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list

Call = Callable[[Any, int, int], Any]  # of an array or tensor, the dimension and the number


def _values(found: Any) -> Any:
    """Return the values alone, which are what is compared; the places stand beside them."""
    return found[0]


def _kth(x: np.ndarray, dim: int, rank: int) -> np.ndarray:
    return np.take(np.sort(x, dim), rank, dim)


# name: the call on tensors of either library, its definition
FUNCTIONS: dict[str, tuple[Call, Call]] = {
    "sort": (lambda x, dim, k: _values(x.sort(dim)), lambda x, dim, k: np.sort(x, dim)),
    "argsort": (
        lambda x, dim, k: x.argsort(dim),
        lambda x, dim, k: np.argsort(x, dim, kind="stable"),
    ),
    "topk": (
        lambda x, dim, k: _values(x.topk(k, dim)),
        lambda x, dim, k: -np.take(np.sort(-x, dim), range(k), dim),
    ),
    "median": (
        lambda x, dim, k: _values(x.median(dim)),
        lambda x, dim, k: _kth(x, dim, (x.shape[dim] - 1) // 2),
    ),
    "kthvalue": (
        lambda x, dim, k: _values(x.kthvalue(k, dim)),
        lambda x, dim, k: _kth(x, dim, k - 1),
    ),
    "unique": (lambda x, dim, k: x.unique(), lambda x, dim, k: np.unique(x)),
    "nonzero": (lambda x, dim, k: (x > 0).nonzero(), lambda x, dim, k: np.argwhere(x > 0)),
}


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("sorting"):
        call, sizes, dim, *dtype = text.split()
        (op, k), axis = re.fullmatch(r"([a-z]+)(\d*)", call).groups(), int(dim)  # type: ignore[union-attr]
        number = int(k or 0)
        run, definition = FUNCTIONS[op]
        shape = tuple(int(size) for size in sizes.split("x"))
        noise = np.random.default_rng(0).standard_normal(shape)
        scale = 100 if dtype == ["int64"] else 1
        x = (noise * scale).astype(dtype[0] if dtype else "float32")
        given = gs.from_numpy(x)
        problem = Problem(
            "sorting",
            name,
            ours=lambda f=run, a=given, d=axis, n=number: f(a, d, n),
            check=close_to(definition(x, axis, number).astype(np.float64), 0),
            bytes=float(x.nbytes),
        )
        if "torch" in against:
            import torch

            theirs = torch.from_numpy(x)
            problem.peers["torch"] = {
                "default": lambda f=run, a=theirs, d=axis, n=number: f(a, d, n)
            }
        yield problem
