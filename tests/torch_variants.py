# SPDX-License-Identifier: Apache-2.0
"""The other names of the operations in PyTorch's table, run through both libraries.

Beside the function an entry knows aliases, the method, the in-place method and the operators;
each is called with some samples of the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

import gradsmith as gs
from tests.torch_samples import DTYPES, RANDOM, SHARED, compared, ours, samples

Function = Callable[..., Any]
SAMPLES = {"float64": 5, "int64": 3}


class Variant(NamedTuple):
    """Another name of an entry's operation, with both libraries' functions."""

    name: str
    entry: Any
    mine: Function
    theirs: Function


def _changed(function: Function) -> Function:
    """Return a function that calls an in-place one on a copy, which has to come back."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        copy = x.clone()
        result = function(copy, *args, **kwargs)
        assert result is copy, "an in-place method returns its tensor"
        return result

    return call


def _same_name(theirs: Any) -> str | None:
    """Return the name of a method that both libraries' tensors have."""
    name = getattr(theirs, "__name__", None)
    shared = name is not None and getattr(torch.Tensor, name, None) is theirs
    return name if shared and hasattr(gs.Tensor, name) else None


def variants(entry: Any) -> Iterator[Variant]:
    """Yield the variants of an entry that both libraries have."""
    for each in entry.aliases:
        mine = ours(each.name)
        if mine is not None and each.op is not None:
            yield Variant(each.name, entry, mine, each.op)
    methods = [entry.method_variant, *(each.method_variant for each in entry.aliases)]
    changing = [entry.inplace_variant, *(each.inplace_variant for each in entry.aliases)]
    for found, wrap in ((methods, lambda function: function), (changing, _changed)):
        for theirs in found:
            name = _same_name(theirs)
            if name is not None:
                mine = getattr(gs.Tensor, name)
                yield Variant(f"Tensor.{name}", entry, wrap(mine), wrap(theirs))
    for operator in (entry.operator_variant, entry.inplace_operator_variant):
        if operator is not None:
            wrap = _changed if operator is entry.inplace_operator_variant else methods_as_is
            name = f"Tensor.__{operator.__name__.strip('_')}__"
            yield Variant(name, entry, wrap(operator), wrap(operator))


def methods_as_is(function: Function) -> Function:
    """Return the function itself."""
    return function


VARIANTS: dict[str, Variant] = {}
for _entry in SHARED.values():
    for _variant in variants(_entry):
        VARIANTS.setdefault(_variant.name, _variant)


def variant_complaints(variant: Variant) -> Iterator[str]:
    """Yield how the libraries differ on some samples, each beginning with the dtype."""
    entry, values = variant.entry, not RANDOM.search(variant.entry.name)
    for dtype, count in SAMPLES.items():
        if DTYPES[dtype] not in entry.dtypes:
            continue
        for sample in samples(entry, dtype, count):
            text = compared(entry.name, variant.mine, variant.theirs, sample, dtype, values)
            if text is not None:
                yield f"{dtype} {text}"
