# SPDX-License-Identifier: Apache-2.0
"""Optimisers step as PyTorch's do, parameters and states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradsmith import optim
from gradsmith.tensor import Tensor
from tests.test_optim import PROBLEMS, parameters

PYTORCH_HAS = [(name, options) for name, options in PROBLEMS if name != "Lion"]
IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, options in PYTORCH_HAS]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), PYTORCH_HAS, ids=IDS)
def test_twenty_steps_equal_pytorch_s(name: str, options: dict[str, Any]) -> None:
    """Two groups, of which one has a rate of its own that changes on the way."""
    import torch

    rng = np.random.default_rng(0)
    params = parameters(rng, np.float64)
    peers = [torch.tensor(p._array.copy()).requires_grad_() for p in params]
    mine = getattr(optim, name)(
        [{"params": params[:2], "lr": 0.02}, {"params": params[2:]}], **options
    )
    theirs = getattr(torch.optim, name)(
        [{"params": peers[:2], "lr": 0.02}, {"params": peers[2:]}], **options
    )
    for step in range(20):
        for group in (mine.param_groups[0], theirs.param_groups[0]):
            group["lr"] = 0.02 / (1 + step // 5)
        for param, peer in zip(params, peers, strict=True):
            grad = np.asarray(rng.standard_normal(param.shape))
            param.grad = Tensor(grad)
            peer.grad = torch.tensor(grad)
        mine.step()
        theirs.step()
    saved = theirs.state_dict()
    for number, state in mine.state_dict()["state"].items():
        assert set(state) == set(saved["state"][number])
        for key, value in state.items():
            want = saved["state"][number][key].numpy()
            np.testing.assert_allclose(value._array, want, rtol=1e-9, atol=1e-12, err_msg=key)
    for param, peer in zip(params, peers, strict=True):
        np.testing.assert_allclose(param._array, peer.detach().numpy(), rtol=1e-12, atol=1e-12)
    mine.load_state_dict(saved)
    assert mine.param_groups[0]["params"] == params[:2]
