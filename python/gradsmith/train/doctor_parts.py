# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at before it runs anything: optimiser, parameters, modes, inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradsmith import nn
from gradsmith.backend import FLOATING, Array
from gradsmith.nn.norm_running import BatchNorm1d, BatchNorm2d, BatchNorm3d
from gradsmith.optim import Optimizer
from gradsmith.tensor import Tensor
from gradsmith.train.findings import Diagnosis, listed
from gradsmith.train.gradient_report import host_values

_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_FAR = 10.0  # mean or standard deviation of inputs
_FEATURES_APART = 1e3  # ratio of standard deviations


def check_parameters(diagnosis: Diagnosis, model: nn.Module) -> None:
    """Look for a model that learns nothing, and for gradients of an earlier pass."""
    parameters = list(model.named_parameters())
    if parameters and not any(parameter.requires_grad for _, parameter in parameters):
        diagnosis.error(
            "every parameter is frozen",
            "model",
            "call requires_grad_() on what has to be trained",
        )
    left = [
        name
        for name, parameter in parameters
        if parameter.grad is not None and np.any(host_values(parameter.grad) != 0)
    ]
    if left:
        diagnosis.warn(
            "gradients of an earlier pass are still there and would be added to",
            listed(left),
            "call optimizer.zero_grad() before backward",
        )


def check_optimizer(diagnosis: Diagnosis, model: nn.Module, optimizer: Optimizer) -> None:
    """Compare the parameters of model and optimiser."""
    held = [each for group in optimizer.param_groups for each in group["params"]]
    ids = Counter(id(each) for each in held)
    own = {id(parameter): name for name, parameter in model.named_parameters()}
    missing = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in ids]
    if missing:
        diagnosis.error(
            "parameters are not in the optimiser, so they are never changed",
            listed(missing),
            "make the optimiser after the model is complete, from model.parameters()",
        )
    foreign = [f"shape {tuple(each.shape)}" for each in held if id(each) not in own]
    if foreign:
        diagnosis.warn(
            f"{len(foreign)} parameters of the optimiser are not in the model",
            listed(foreign),
            "make the optimiser from the parameters of this model; a layer may have been replaced",
        )
    twice = [own.get(key, "?") for key, count in ids.items() if count > 1]
    if twice:
        diagnosis.error(
            "parameters stand twice in the optimiser, so they take two steps at once",
            listed(twice),
            "list every parameter once",
        )
    if all(group["lr"] == 0 for group in optimizer.param_groups):
        diagnosis.error("the learning rate is 0", "optimizer", "set lr")


def check_modes(diagnosis: Diagnosis, model: nn.Module, samples: int) -> None:
    """Look for layers in the wrong mode, and for a batch that batch norm cannot take."""
    kinds = _NORMS + _DROPOUTS
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, kinds)]
    asleep = [name or type(module).__name__ for name, module in layers if not module.training]
    if asleep and not model.training:
        diagnosis.warn(
            "the model is in evaluation mode: dropout is off, batch norm does not learn statistics",
            listed(asleep),
            "call model.train() before training",
        )
    elif asleep:
        diagnosis.warn(
            "layers are in evaluation mode within a model in training mode",
            listed(asleep),
            "call model.train(), unless they are frozen on purpose",
        )
    norms = [name for name, module in layers if isinstance(module, _NORMS) and module.training]
    if norms and samples == 1:
        diagnosis.error(
            "a batch of one sample has no variance for batch norm",
            listed(norms),
            "use larger batches (drop_last=True for a short last one), or GroupNorm",
        )


def _tensors(tree: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, Tensor):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, each in tree.items():
            yield from _tensors(each, f"{path}[{key!r}]")
    elif isinstance(tree, (list, tuple)):
        for position, each in enumerate(tree):
            yield from _tensors(each, f"{path}[{position}]")


def check_inputs(diagnosis: Diagnosis, inputs: Any) -> None:
    """Look at the numbers of all floating inputs."""
    for path, tensor in _tensors(inputs, "inputs"):
        if tensor.dtype in FLOATING and tensor.numel():
            _check_values(diagnosis, path, host_values(tensor))


def _check_values(diagnosis: Diagnosis, path: str, values: Array) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        diagnosis.error(
            f"{bad} of {values.size} numbers are NaN or Inf", path, "clean or fill the data"
        )
        return
    low, high, mean, std = values.min(), values.max(), values.mean(), values.std()
    scale = "normalise: subtract the mean, divide by the standard deviation (StandardScaler)"
    if low >= 0 and 50 < high <= 255:
        diagnosis.warn(
            f"numbers go from {low:g} to {high:g}, as bytes do", path, "divide by 255, or " + scale
        )
    elif abs(mean) > _FAR or std > _FAR or 0 < std < 1 / (10 * _FAR):
        diagnosis.warn(f"mean {mean:.3g} and deviation {std:.3g} are far from 0 and 1", path, scale)
    elif std == 0 and values.size > 1:
        diagnosis.warn("all numbers are equal", path, "look at how the data are read")
    elif values.ndim == 2 and len(values) > 2:
        spread = values.std(0)
        spread = spread[spread > 0]
        if spread.size and spread.max() > _FEATURES_APART * spread.min():
            diagnosis.warn(
                f"deviations of the features go from {spread.min():.3g} to {spread.max():.3g}",
                path,
                "normalise each feature (StandardScaler)",
            )
