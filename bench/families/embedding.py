# SPDX-License-Identifier: Apache-2.0
"""Table lookup in float32, forward and with the gradient of the table. Ids are Zipf-like, as words
are, or uniform; or in bags whose rows are averaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench.problem import Problem, close_to, problem_list


def _step(function: Any, ids: Any, weight: Any, dy: Any) -> Any:
    weight.grad = None
    function(ids, weight).backward(dy)
    return weight.grad


def _ids(rng: np.random.Generator, kind: str, rows: int, count: int) -> np.ndarray:
    if kind == "uniform":
        return rng.integers(0, rows, count)
    return np.minimum(rows ** rng.random(count), rows - 1).astype(np.int64)


def _bag_problems(name: str, sizes: str, bags: str, against: list[str]) -> Iterator[Problem]:
    rows, width = (int(size) for size in sizes.split("x"))
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((rows, width)).astype(np.float32)
    ids = rng.integers(0, rows, [int(size) for size in bags.split("x")])
    dy = rng.standard_normal((len(ids), width)).astype(np.float32)
    gradient = np.zeros((rows, width))
    np.add.at(gradient, ids, dy[:, None].astype(np.float64) / ids.shape[1])
    ours: list[Any] = [gs.nn.functional.embedding_bag, gs.from_numpy(ids)]
    table, leaf, seeds = gs.from_numpy(weight), gs.tensor(weight, requires_grad=True), gs.tensor(dy)
    forward = Problem(
        "embedding",
        f"{name} forward",
        ours=lambda: ours[0](ours[1], table),
        check=close_to(weight.astype(np.float64)[ids].mean(1), 1e-5),
        bytes=4.0 * (ids.size * width + dy.size),
    )
    step = Problem(
        "embedding",
        f"{name} forward+backward",
        ours=lambda: _step(*ours, leaf, seeds),
        check=close_to(gradient, 1e-4),
        bytes=4.0 * (2 * ids.size * width + 2 * dy.size + weight.size),
    )
    if "torch" in against:
        import torch

        peer, given = torch.nn.functional.embedding_bag, torch.from_numpy(ids)
        given_table, given_dy = torch.from_numpy(weight), torch.from_numpy(dy)
        given_leaf = torch.tensor(weight, requires_grad=True)
        forward.peers["torch"] = {"default": lambda: peer(given, given_table)}
        step.peers["torch"] = {"default": lambda: _step(peer, given, given_leaf, given_dy)}
    yield forward
    yield step


def problems(against: list[str]) -> Iterator[Problem]:
    for name, text in problem_list("embedding"):
        if text.endswith(" bags"):
            yield from _bag_problems(name, *text.split()[:2], against)
            continue
        sizes, number, kind = text.split()
        rows, width = (int(size) for size in sizes.split("x"))
        count = int(number)
        rng = np.random.default_rng(0)
        weight = rng.standard_normal((rows, width)).astype(np.float32)
        ids = _ids(rng, kind, rows, count)
        dy = rng.standard_normal((count, width)).astype(np.float32)
        gradient = np.zeros((rows, width))
        np.add.at(gradient, ids, dy.astype(np.float64))
        function = gs.nn.functional.embedding
        places, seeds = gs.from_numpy(ids), gs.from_numpy(dy)
        table, leaf = gs.from_numpy(weight), gs.tensor(weight, requires_grad=True)
        forward = Problem(
            "embedding",
            f"{name} forward",
            ours=lambda f=function, i=places, w=table: f(i, w),
            check=close_to(weight[ids].astype(np.float64), 0.0),
            bytes=8.0 * dy.size,
        )
        step = Problem(
            "embedding",
            f"{name} forward+backward",
            ours=lambda f=function, i=places, w=leaf, d=seeds: _step(f, i, w, d),
            check=close_to(gradient, 1e-4),
            bytes=8.0 * dy.size + 4.0 * (dy.size + weight.size),
        )
        if "torch" in against:
            import torch

            peer = torch.nn.functional.embedding
            given, given_dy = torch.from_numpy(ids), torch.from_numpy(dy)
            given_table = torch.from_numpy(weight)
            given_leaf = torch.tensor(weight, requires_grad=True)
            forward.peers["torch"] = {
                "default": lambda f=peer, i=given, w=given_table: f(i, w),
            }
            step.peers["torch"] = {
                "default": lambda f=peer, i=given, w=given_leaf, d=given_dy: _step(f, i, w, d),
            }
        yield forward
        yield step
