# SPDX-License-Identifier: Apache-2.0
"""The public namespaces, for the pages of the API (conf.py) and for the tests."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

# Namespace: the title of its page.
NAMESPACES = {
    "gradsmith": "Tensors",
    "gradsmith.linalg": "Linear algebra",
    "gradsmith.special": "Special functions",
    "gradsmith.autograd": "Autograd",
    "gradsmith.autograd.function": "Own functions on the tape",
    "gradsmith.autograd.functional": "Functional derivatives",
    "gradsmith.nn": "Modules",
    "gradsmith.nn.functional": "Functions of layers, activations and losses",
    "gradsmith.nn.init": "Initialisers",
    "gradsmith.nn.utils": "Tools for parameters and gradients",
    "gradsmith.nn.utils.rnn": "Sequences of different lengths",
    "gradsmith.nn.constraints": "Constraints",
    "gradsmith.nn.regularizers": "Penalties",
    "gradsmith.optim": "Optimisers",
    "gradsmith.optim.lr_scheduler": "Learning-rate schedules",
    "gradsmith.optim.swa_utils": "Averages of weights",
    "gradsmith.optim.search": "Gradient-free search",
    "gradsmith.amp": "Mixed precision",
    "gradsmith.data": "Data sets and loaders",
    "gradsmith.data.datasets": "Standard data sets",
    "gradsmith.data.generators": "Generated data",
    "gradsmith.data.transforms": "Augmentation",
    "gradsmith.text": "Text",
    "gradsmith.images": "Images",
    "gradsmith.metrics": "Metrics",
    "gradsmith.train": "Training",
    "gradsmith.viz": "Pictures",
    "gradsmith.models": "Architectures",
    "gradsmith.io": "Files",
    "gradsmith.cuda": "GPUs",
    "gradsmith.cudasim": "The simulator of GPUs",
    "gradsmith.memory": "Memory",
    "gradsmith.random": "Random numbers",
    "gradsmith.config": "Configuration",
}


def members(namespace: str) -> dict[str, Any]:
    """Return the functions and classes that a namespace offers, in alphabetical order.

    They are those it defines, names in ``__all__`` or imports as ``name as name``.
    """
    module: Any = importlib.import_module("gradsmith")
    for part in namespace.split(".")[1:]:
        module = getattr(module, part)
    offered = set(getattr(module, "__all__", ()))
    offered |= set(re.findall(r"\b(\w+) as \1\b", inspect.getsource(module)))
    found = {
        name: value
        for name, value in inspect.getmembers(module)
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and (name in offered or value.__module__ == module.__name__)
        and value.__module__.startswith("gradsmith")
    }
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))
