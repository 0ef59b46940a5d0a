# SPDX-License-Identifier: Apache-2.0
"""Whole training steps, and what a small op costs: a chain of adds that the host has to launch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gradsmith as gs
from bench import models
from bench.device_cuda import Row
from bench.families.training import IMAGES, _batch, _maker, _step
from bench.problem import problem_list

CHAIN = 1000


def cases() -> Iterator[Callable[[list[str]], Iterator[Row]]]:
    yield _launches
    for name, text in problem_list("cuda_training"):
        yield lambda against, name=name, text=text: _rows(name, text, against)


def _chain(x: Any) -> Any:
    y = x
    for _ in range(CHAIN):
        y = y + x
    return y


def _launches(against: list[str]) -> Iterator[Row]:
    import torch

    ours, theirs = gs.ones(4, device="cuda"), torch.ones(4, device="cuda")

    def check() -> None:
        assert _chain(ours).cpu().tolist() == [CHAIN + 1.0] * 4

    peers = {"default": lambda _: _chain(theirs)} if "torch" in against else {}
    yield Row("cuda_training", "chain_1000_adds_of_4", lambda _: _chain(ours), peers, check)


def _losses(step: Callable[[], Any]) -> list[float]:
    return [float(step().item()) for _ in range(3)]


def _rows(name: str, text: str, against: list[str]) -> Iterator[Row]:
    import torch

    model, size, length, optimizer, rate = text.split()
    options = {"lr": float(rate)} | ({"momentum": 0.9} if optimizer == "SGD" else {})
    arrays = _batch(model, int(size), int(length))
    network = getattr(models, model)(gs)
    state = network.state_dict()

    def our_step(device: str) -> Callable[[], Any]:
        network = getattr(models, model)(gs)
        network.load_state_dict(state)
        network.to(device)
        data = [gs.tensor(each, device=device) for each in arrays]
        return _step(gs, model, network, _maker(gs, optimizer, options), data)

    def check() -> None:
        losses = _losses(our_step("cuda")), _losses(our_step("cpu"))
        assert np.allclose(*losses, rtol=1e-3), losses

    step = our_step("cuda")
    peers = {}
    formats = ("contiguous", "channels_last") if model in IMAGES else ("contiguous",)
    for layout in formats if "torch" in against else ():
        other = getattr(models, model)(torch).cuda()
        data = [torch.from_numpy(each.copy()).cuda() for each in arrays]
        if layout == "channels_last":
            other = other.to(memory_format=torch.channels_last)
            data[0] = data[0].contiguous(memory_format=torch.channels_last)
        make = _maker(torch, optimizer, options | {"fused": True})
        theirs = _step(torch, model, other, make, data)
        peers[layout] = lambda _, run=theirs: run()
    yield Row("cuda_training", name, lambda _: step(), peers, check)
