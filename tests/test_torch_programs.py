# SPDX-License-Identifier: Apache-2.0
"""Programs written for PyTorch, with training, hooks, data and files, agree in both libraries."""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from tests import torch_data_programs, torch_network_programs, torch_programs
from tests.torch_programs import Program

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
if find_spec("torch") is not None:
    import torch
    import torch.utils.data

PROGRAMS: dict[str, Program] = {
    name: function
    for module in (torch_programs, torch_network_programs, torch_data_programs)
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and list(inspect.signature(function).parameters) == ["t", "data"]
}


def plain(value: Any) -> Any:
    """Return a result in terms that both libraries share."""
    if isinstance(value, (gs.Tensor, torch.Tensor)):
        wide = value.detach()
        wide = wide.float() if str(wide.dtype).endswith("bfloat16") else wide
        return [str(value.dtype).removeprefix("torch."), np.asarray(wide.numpy())]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def assert_alike(got: Any, expected: Any, place: str = "") -> None:
    """Compare nested results; numbers to 1e-6 of their size."""
    if isinstance(expected, list):
        assert len(got) == len(expected), place
        for number, (one, other) in enumerate(zip(got, expected, strict=True)):
            assert_alike(one, other, f"{place}[{number}]")
    elif isinstance(expected, dict):
        assert list(got) == list(expected), place
        for key, other in expected.items():
            assert_alike(got[key], other, f"{place}[{key!r}]")
    elif isinstance(expected, (float, np.ndarray)):
        np.testing.assert_allclose(got, expected, 1e-6, 1e-8, err_msg=place)
        assert np.shape(got) == np.shape(expected), place
    else:
        assert got == expected, place


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    program = PROGRAMS[name]
    assert_alike(plain(program(gs, gs.data)), plain(program(torch, torch.utils.data)))
