# SPDX-License-Identifier: Apache-2.0
"""Training parts of a model: chosen parameters, or layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from gradsmith import nn
from gradsmith.autograd import no_grad
from gradsmith.nn.module_tree import check_module
from gradsmith.train import feed
from gradsmith.train.callbacks import History
from gradsmith.train.compiling import compile
from gradsmith.train.loop import fit, predict


def set_trainable(model: nn.Module, patterns: str | Sequence[str]) -> list[str]:
    """Train the parameters whose paths match a pattern, freeze all others, return those trained.

    Args:
        model: any module.
        patterns: one or several as the shell has them: ``"head.*"``, ``"*.bias"``, ``"[45].*"``.

    Raises:
        TypeError: the model is no module.
        ValueError: a pattern matches no parameter.

    Example:
        >>> import gradsmith as gs
        >>> model = gs.nn.Sequential(gs.nn.Linear(2, 3), gs.nn.Linear(3, 1))
        >>> gs.train.set_trainable(model, "1.*")
        ['1.weight', '1.bias']
    """
    check_module("set_trainable", "model", model)
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    parameters = list(model.named_parameters())
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name, _ in parameters):
            names = ", ".join(name for name, _ in parameters)
            raise ValueError(f"set_trainable: {pattern!r} matches none of {names}")
    nn.utils.freeze(model)
    trained = []
    for name, parameter in parameters:
        if any(fnmatchcase(name, pattern) for pattern in wanted):
            parameter.requires_grad_(True)
            trained.append(name)
    return trained


def _linear_decoder(layer: nn.Module, inputs: Any) -> nn.Module:
    with no_grad():
        code = layer(inputs[:1])
    if inputs.ndim != 2 or code.ndim != 2:
        raise ValueError(
            f"greedy_pretrain: a layer maps {tuple(inputs.shape)} to {tuple(code.shape)}; a linear "
            "decoder needs (N, features) on both sides, so give a function as decoder"
        )
    return nn.Linear(code.shape[1], inputs.shape[1])


def greedy_pretrain(
    layers: Sequence[nn.Module],
    x: Any,
    *,
    decoder: Callable[[nn.Module, Any], nn.Module] = _linear_decoder,
    optimizer: Any = "adam",
    loss: Any = "mse",
    **fit_options: Any,
) -> list[History]:
    """Train layers one after the other as auto-encoders of what the layers before give.

    Bengio, Lamblin, Popovici, Larochelle, "Greedy layer-wise training of deep networks", 2007.
    Layer k learns to encode the codes of layer k - 1 so that a decoder can restore them; the
    decoders are thrown away. Layers without parameters count to the code of the next one.

    Args:
        layers: the layers in order, such as ``model.encoder``; a layer with its activation is a
            `Sequential`.
        x: inputs (N, ...), arrays or tensors.
        decoder: function (layer, its inputs) -> module from codes back to inputs; by default a
            `Linear`.
        optimizer: as in `compile`, made anew for each layer.
        loss: as in `compile`, of (restored, input).
        **fit_options: for `fit`: ``epochs``, ``batch_size``, ``callbacks``, ...

    Returns:
        The history of each layer that has parameters.

    Raises:
        TypeError: a layer is no module.
        ValueError: a code is not (N, features) and there is no decoder for it.
    """
    for number, layer in enumerate(layers):
        check_module("greedy_pretrain", f"layers[{number}]", layer)
    histories = []
    first = next((p for layer in layers for p in layer.parameters()), None)
    if first is None:
        raise ValueError("greedy_pretrain: no layer has parameters")
    options = {"verbose": 0, **fit_options}
    codes = feed.array_dataset("greedy_pretrain", x, None, first.dtype).inputs.to(first.device)
    for layer in layers:
        if any(True for _ in layer.parameters()):
            back = decoder(layer, codes).to(first.device, first.dtype)
            coder = nn.Sequential(layer, back)
            compile(coder, optimizer, loss)
            histories.append(fit(coder, codes, codes, **options))
        codes = predict(layer, codes, options.get("batch_size", 32), verbose=0)
    return histories
