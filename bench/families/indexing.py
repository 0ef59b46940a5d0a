# SPDX-License-Identifier: Apache-2.0
"""Reading, writing and adding by index in float32: whole rows or columns by one index, and single
elements by an index array of the result's shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _put_along(x: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray) -> np.ndarray:
    out = x.astype(np.float64)
    places = list(np.indices(index.shape))
    places[dim] = index
    np.add.at(out, tuple(places), source)
    return out


def _add_rows(x: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray) -> np.ndarray:
    out = np.moveaxis(x.astype(np.float64), dim, 0)
    np.add.at(out, index, np.moveaxis(source, dim, 0))
    return np.moveaxis(out, 0, dim)


# name: the call on tensors of either library, its definition, whether one index names whole rows
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], bool]] = {
    "index_select": (
        lambda x, dim, index, source: x.index_select(dim, index),
        lambda x, dim, index, source: np.take(x, index, dim),
        True,
    ),
    "index_add": (
        lambda x, dim, index, source: x.index_add(dim, index, source),
        _add_rows,
        True,
    ),
    "gather": (
        lambda x, dim, index, source: x.gather(dim, index),
        lambda x, dim, index, source: np.take_along_axis(x, index, dim),
        False,
    ),
    "scatter_add": (
        lambda x, dim, index, source: x.scatter_add(dim, index, source),
        _put_along,
        False,
    ),
}


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("indexing"):
        op, sizes, number, dim_text = text.split()
        shape = [int(size) for size in sizes.split("x")]
        count, dim = int(number), int(dim_text)
        run, definition, whole_rows = FUNCTIONS[op]
        rng = np.random.default_rng(0)
        x = rng.standard_normal(shape).astype(np.float32)
        result_shape = [*shape[:dim], count, *shape[dim + 1 :]]
        index = rng.integers(0, shape[dim], count if whole_rows else result_shape)
        source = rng.standard_normal(result_shape).astype(np.float32)
        arguments = [gs.from_numpy(x), dim, gs.from_numpy(index), gs.from_numpy(source)]
        adds = op in ("index_add", "scatter_add")
        problem = Problem(
            "indexing",
            name,
            ours=lambda f=run, a=arguments: f(*a),
            check=close_to(definition(x, dim, index, source).astype(np.float64), 1e-5),
            bytes=4.0 * (2 * source.size + (2 * x.size if adds else 0)) + 8.0 * index.size,
        )
        if "torch" in against:
            import torch

            given = [torch.from_numpy(x), dim, torch.from_numpy(index), torch.from_numpy(source)]
            problem.peers["torch"] = {"default": lambda f=run, a=given: f(*a)}
        yield problem
