# SPDX-License-Identifier: Apache-2.0
"""Every public function of tensors has gradients of both orders that were checked, or none.

A function is judged by Cases (see `public_functions`), by a sample of `gradient_samples`, by the
function it is the in-place form of, or it stands in `gradient_reasons` with the reason why it has
no gradient, which is tested too. One that is in no place or in two fails, and so does an entry that
nothing needs. There is no place for a first derivative without a second: none is that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import gradsmith as gs
from gradsmith.autograd import grad, gradcheck, gradgradcheck
from tests import public_functions as public
from tests.cases import is_floating
from tests.gradient_reasons import REASONS, ROWS, Reason, X
from tests.gradient_samples import SAMPLES, calls_of, leaves
from tests.inplace_forms import IN_PLACE

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.mark.parametrize("name", SAMPLES)
def test_gradients_of_both_orders(name: str) -> None:
    call, _ = SAMPLES[name]
    assert gradcheck(call, leaves(name))
    assert gradgradcheck(call, leaves(name))


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_reach_what_they_stand_for(name: str) -> None:
    function, _, parameter = name.rstrip(")").partition("(")
    calls = [call for call in calls_of(name) if function in call.public.names]
    assert calls, f"{name} is not called"
    assert not parameter or any(parameter in call.differentiated for call in calls), name


@pytest.fixture
def kept_generator() -> Iterator[None]:
    """Leave the library's generator as it is."""
    state = gs.get_rng_state()
    yield
    gs.set_rng_state(state)


@pytest.mark.usefixtures("kept_generator")
@pytest.mark.parametrize(("reason", "name"), REASONS, ids=[name for _, name in REASONS])
def test_reasons_hold(
    reason: Reason, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    row = ROWS[reason][name]
    if reason is Reason.REFUSED:
        with pytest.raises(RuntimeError, match=r"on the tape|only leaf tensors"):
            row(X * 1)
        return
    if reason is Reason.ARRAYS:
        with pytest.raises(TypeError, match=r"Tensor|expected"):
            row()
        return
    found = public.tensors(row(X) if reason is Reason.STEPS else row())
    assert not public.requires_grad(found)
    assert reason is Reason.UPDATES or bool(found) == (reason is not Reason.NO_TENSOR)
    if reason is Reason.WHOLE:
        assert not any(is_floating(each._array) for each in found)
    if reason is Reason.DIFFERS:
        assert f"`{name.partition('.')[2].rstrip('_')}`" in (DOCS / "differences.md").read_text()
    if reason is Reason.STEPS:
        near = public.tensors(row(X.detach() + 1e-9))
        assert all(gs.equal(a, b) for a, b in zip(found, near, strict=True))


# Conversions, which gradients pass as they are; too coarse for differences where they round.
CONVERSIONS: dict[str, Callable[[gs.Tensor], gs.Tensor]] = {
    "Tensor.float": lambda x: x.float(),
    "Tensor.bfloat16": lambda x: x.bfloat16(),
    "Tensor.half": lambda x: x.half(),
    "Tensor.to": lambda x: x.to(gs.float32),
    "Tensor.type": lambda x: x.type(gs.float32),
    "Tensor.type_as": lambda x: x.type_as(gs.ones(1)),
    "Tensor.cuda": lambda x: x.cuda(),
}


ON_GPU = "Tensor.cuda"
NAMES = [each for each in CONVERSIONS if each != ON_GPU]


@pytest.mark.parametrize("name", [*NAMES, pytest.param(ON_GPU, marks=pytest.mark.gpu)])
def test_conversions_pass_gradients_of_both_orders(name: str) -> None:
    converted = CONVERSIONS[name](X)
    (slope,) = grad((converted.to(X) ** 3).sum(), X, create_graph=True)
    (curve,) = grad(slope.sum(), X)
    assert (slope.dtype, curve.dtype) == (X.dtype, X.dtype)
    values = X.detach().cpu().numpy()
    np.testing.assert_allclose(slope.detach().cpu().numpy(), 3 * values**2, rtol=2e-2)
    np.testing.assert_allclose(curve.cpu().numpy(), 6 * values, rtol=2e-2)


def places() -> dict[str, list[str]]:
    """Return for each function what judges its gradient."""
    names, found = public.by_name(), {each.name: [] for each in public.public_functions().values()}
    for name in public.differentiated_by_cases():
        found[name].append("Cases")
    for name in {*SAMPLES, *(name for _, name in REASONS)}:
        if "(" not in name:
            assert name in names, f"{name} is no public function: take it out of the tables"
            found[names[name].name].append("the tables")
    for name in (*IN_PLACE, *CONVERSIONS):
        found[names[name].name].append("the function it is the form of, or a conversion")
    return found


def test_every_function_is_judged_in_one_place() -> None:
    found = places()
    holes = [name for name, judges in found.items() if not judges]
    assert not holes, f"no Case and no sample checks the gradients of {holes}"
    twice = {name: judges for name, judges in found.items() if len(judges) > 1}
    assert not twice, "take them out of a table"
