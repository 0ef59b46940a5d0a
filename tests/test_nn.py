# SPDX-License-Identifier: Apache-2.0
"""Module: registration, lookup, modes, conversion, hooks, errors with paths."""

from __future__ import annotations

import copy
import gc
from contextlib import suppress
from typing import Any

import pytest

import gradsmith as gs
from gradsmith import nn
from tests.nn_models import KEYS, Block, Net, same, snapshot

# ---- registration and lookup ---------------------------------------------------------------------


def test_names_in_order() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [k for k in KEYS if "count" not in k]
    assert [name for name, _ in net.named_buffers()] == ["encoder.0.count", "encoder.0.scratch"]
    assert list(net.state_dict()) == KEYS
    assert [name for name, _ in net.named_modules()] == [
        *("", "encoder", "encoder.0", "encoder.0.fc", "encoder.1", "head"),
    ]
    assert [name for name, _ in net.named_children()] == ["encoder", "head"]
    assert list(net.children()) == [net.encoder, net.head]
    assert [name for name, _ in net.named_parameters(prefix="m", recurse=False)] == []
    assert [name for name, _ in net.encoder[0].named_parameters("m", recurse=False)] == ["m.scale"]


def test_lookup_by_path() -> None:
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("encoder.0.fc") is net.encoder[0].fc
    assert net.get_parameter("encoder.0.fc.bias") is net.encoder[0].fc.bias
    assert net.get_buffer("encoder.0.count") is net.encoder[0].count
    with pytest.raises(ValueError, match=r"no submodule '2' \(it has: 0, 1\)"):
        net.get_submodule("encoder.2")
    with pytest.raises(ValueError, match="no parameter 'count'"):
        net.get_parameter("encoder.0.count")
    with pytest.raises(ValueError, match="no buffer 'scale'"):
        net.get_buffer("encoder.0.scale")


def test_set_submodule() -> None:
    net = Net()
    net.set_submodule("encoder.0.fc", nn.Identity())
    assert type(net.encoder[0].fc) is nn.Identity
    with pytest.raises(ValueError, match="no submodule '7'"):
        net.set_submodule("encoder.7", nn.ReLU())
    with pytest.raises(ValueError, match="path is empty"):
        net.set_submodule("", nn.ReLU())
    with pytest.raises(TypeError, match="set_submodule: module is a int"):
        net.set_submodule("head", 3)  # type: ignore[arg-type]


def test_shared_parameters_are_yielded_once_but_saved_twice() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    twice = nn.Sequential(net[0], net[0])
    assert len(list(twice.modules())) == 2
    assert len(list(twice.named_modules(remove_duplicate=False))) == 3


def test_attributes_change_their_kind() -> None:
    m = nn.Module()
    m.x = 3
    m.x = nn.Parameter(gs.ones(1))
    assert [name for name, _ in m.named_parameters()] == ["x"]
    m.x = nn.Linear(1, 1)
    assert [name for name, _ in m.named_children()] == ["x"]
    m.x = None
    assert list(m.children()) == []
    del m.x
    assert not hasattr(m, "x")
    m.x = 4
    assert m.x == 4
    assert list(m.state_dict()) == []


def test_none_reserves_a_name() -> None:
    m = nn.Module()
    m.register_parameter("p", None)
    m.register_buffer("b", None)
    m.register_module("m", None)
    assert m.p is None
    assert list(m.state_dict()) == []
    m.b = gs.zeros(1)
    assert list(m.state_dict()) == ["b"]


@pytest.mark.parametrize("kind", ["parameter", "buffer", "module"])
def test_refused_registrations(kind: str) -> None:
    m = Block()
    register = getattr(m, f"register_{kind}")
    good = {"parameter": m.scale, "buffer": m.count, "module": m.fc}[kind]
    for name, message in (("a.b", "dot"), ("", "empty"), ("forward", "another attribute")):
        with pytest.raises(ValueError, match=message):
            register(name, good)
    with pytest.raises(TypeError, match="expected a str"):
        register(3, good)
    with pytest.raises(TypeError, match="is a int, expected"):
        register("new", 3)
    assert list(m.state_dict()) == ["scale", "count", "fc.weight", "fc.bias"]


def test_refused_assignments() -> None:
    m = Block()
    with pytest.raises(TypeError, match="parameter; it cannot be set to a Tensor"):
        m.scale = gs.ones(3)
    with pytest.raises(TypeError, match="module; it cannot be set to a int"):
        m.fc = 3
    with pytest.raises(TypeError, match="buffer; it cannot be set to a list"):
        m.count = [1.0]
    p = nn.Parameter(gs.ones(1))
    p._node = (p * 1)._node
    with pytest.raises(ValueError, match="result of an op"):
        m.register_parameter("p", p)


def test_init_has_to_be_called_first() -> None:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before super\(\).__init__"):
        Forgot()


def test_missing_forward() -> None:
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        nn.Module()(1)


# ---- parameter -----------------------------------------------------------------------------------


def test_parameter() -> None:
    p = nn.Parameter(gs.ones(2))
    assert p.requires_grad
    assert p.is_leaf
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert not nn.Parameter(gs.zeros(1, dtype=gs.int64), requires_grad=False).requires_grad
    with pytest.raises(TypeError, match="int64"):
        nn.Parameter(gs.zeros(1, dtype=gs.int64))
    q = copy.deepcopy(p)
    assert type(q) is nn.Parameter
    assert q.requires_grad
    assert q.data_ptr() != p.data_ptr()
    assert nn.Parameter().numel() == 0


# ---- deep copies and memory ----------------------------------------------------------------------


def test_deepcopy_keeps_sharing_and_detaches_memory() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    other = copy.deepcopy(net)
    assert other[0].weight is other[1].weight
    assert other[0].weight is not net[0].weight
    assert same(snapshot(net), snapshot(other))
    gs.nn.init.zeros_(other[0].bias)
    assert not same(snapshot(net), snapshot(other))


def test_modules_and_errors_leave_no_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        net = Net()
        net(gs.ones(2, 3)).sum().backward()
        net.encoder.register_forward_hook(lambda *args: None)
        for _ in range(3):
            with suppress(ValueError):
                net(gs.ones(2, 5))
        del net
        assert gc.collect() == 0
    finally:
        gc.enable()


# ---- modes, gradients, conversion ----------------------------------------------------------------


def test_train_and_eval() -> None:
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())
    with pytest.raises(TypeError, match="mode is a int"):
        net.train(1)  # type: ignore[arg-type]


def test_requires_grad_and_zero_grad() -> None:
    net = Net()
    net.head.requires_grad_(False)
    net(gs.ones(1, 3)).sum().backward()
    assert net.head.weight.grad is None
    assert net.encoder[0].scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert float(abs(net.encoder[0].scale.grad).sum()) == 0.0
    net.zero_grad()
    assert net.encoder[0].scale.grad is None


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    net = Net()
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Block", "ReLU", "Sequential", "Linear", "Net"]


def test_conversion_keeps_the_objects() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net(gs.ones(3, 2)).sum().backward()
    weight, count = net[0].weight, net[1].num_batches_tracked
    assert net.double() is net
    assert net[0].weight is weight
    assert weight.dtype == weight.grad.dtype == net[1].running_mean.dtype == gs.float64
    assert net[1].num_batches_tracked is count
    assert count.dtype == gs.int64
    assert net.to(gs.bfloat16)[0].weight.dtype == gs.bfloat16
    assert net.to("cpu", "float32")[0].weight.dtype == gs.float32
    assert net.to(gs.zeros(1, dtype=gs.float64)).float().bfloat16().cpu() is net
    with pytest.raises(TypeError, match="int64, expected a floating"):
        net.to(gs.int64)
    with pytest.raises(TypeError, match="unknown"):
        net.to("float31")
    with pytest.raises(TypeError, match="unexpected argument 'colour'"):
        net.to(colour=1)


def test_conversion_after_forward_is_noticed() -> None:
    layer = nn.Linear(2, 2)
    y = layer(gs.ones(1, 2).requires_grad_())
    layer.double()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


# ---- hooks ---------------------------------------------------------------------------------------


def test_forward_hooks() -> None:
    layer = nn.Identity()
    calls: list[Any] = []
    first = layer.register_forward_hook(lambda m, args, out: calls.append((args, out)))
    second = layer.register_forward_hook(lambda m, args, out: out + 1)
    third = layer.register_forward_hook(lambda m, args, out: out * 10, prepend=True)
    assert layer(2) == 21
    assert calls == [((2,), 20)]
    third.remove()
    third.remove()
    assert layer(2) == 3
    first.remove()
    second.remove()
    assert layer(2) == 2
    with pytest.raises(TypeError, match="expected a callable"):
        layer.register_forward_hook(3)  # type: ignore[arg-type]


def test_forward_pre_hooks() -> None:
    class Sub(nn.Module):
        def forward(self, a: int, b: int = 1) -> int:
            return a - b

    m = Sub()
    handle = m.register_forward_pre_hook(lambda m, args: args[0] * 10)
    assert m(2) == 19
    handle.remove()
    m.register_forward_pre_hook(lambda m, args: (args[0] + 1, 5))
    assert m(2) == -2
    m = Sub()
    m.register_forward_pre_hook(lambda m, args, kw: (args, {"b": 7}), with_kwargs=True)
    m.register_forward_hook(lambda m, args, kw, out: (out, kw), with_kwargs=True)
    assert m(2) == (-5, {"b": 7})


# ---- errors name their module --------------------------------------------------------------------


def test_errors_carry_the_path() -> None:
    net = nn.Sequential(nn.Identity(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"^1 \(Linear 4 -> 2\): input has 3 features, expected 4"):
        net(gs.zeros(5, 3))
    with pytest.raises(ValueError, match=r"^encoder\.0\.fc \(Linear 3 -> 3\): input has 4"):
        Net()(gs.zeros(5, 4))
    with pytest.raises(ValueError, match=r"^Linear 4 -> 2: input has 3 features"):
        net[1](gs.zeros(5, 3))


def test_errors_of_any_forward_are_located_once() -> None:
    class SpecialError(ValueError):
        pass

    class Fails(nn.Module):
        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

        def forward(self, x: Any) -> Any:
            raise self.error

    for error, message in (
        (SpecialError("wrong"), r"^a\.0 \(Fails\): wrong$"),
        (IndexError("out of range"), r"^a\.0 \(Fails\): out of range$"),
        (TypeError("no"), r"^a\.0 \(Fails\): no$"),
        (RuntimeError("untouched"), r"^untouched$"),
        (ValueError(3, "not one text"), r"^\(3, 'not one text'\)$"),
    ):
        net = nn.ModuleDict({"a": nn.Sequential(Fails(error))})
        outer = nn.Module()
        outer.forward = lambda x, net=net: net["a"](x)
        outer.register_module("a", net["a"])
        with pytest.raises(type(error), match=message) as caught:
            outer(1)
        assert caught.value is error


def test_errors_through_plain_calls_are_located() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList([nn.Linear(2, 2)])

        def forward(self, x: gs.Tensor) -> gs.Tensor:
            return self.parts[0](x)

    with pytest.raises(ValueError, match=r"^parts\.0 \(Linear 2 -> 2\): "):
        Outer()(gs.zeros(1, 3))
