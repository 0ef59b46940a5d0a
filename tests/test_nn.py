# SPDX-License-Identifier: Apache-2.0
"""Module: registration, lookup, hooks, conversion, state, errors with paths, containers."""

from __future__ import annotations

import copy
import gc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.scale = nn.Parameter(gs.ones(3))
        self.register_buffer("count", gs.zeros(3))
        self.register_buffer("scratch", gs.zeros(2), persistent=False)

    def forward(self, x: gs.Tensor) -> gs.Tensor:
        return self.fc(x) * self.scale


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(Block(), nn.ReLU())
        self.head = nn.Linear(3, 2, bias=False)

    def forward(self, x: gs.Tensor) -> gs.Tensor:
        return self.head(self.encoder(x))


KEYS = ["encoder.0.scale", "encoder.0.count", "encoder.0.fc.weight", "encoder.0.fc.bias"]
KEYS.append("head.weight")


def snapshot(module: nn.Module) -> dict[str, np.ndarray]:
    return {key: value.numpy().copy() for key, value in module.state_dict().items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[key], b[key]) for key in a)


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
    with pytest.raises(TypeError, match="got a int for 'head'"):
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


# ---- state ---------------------------------------------------------------------------------------


def test_state_dict_shares_memory_and_loads() -> None:
    a, b = Net(), Net()
    state = a.state_dict()
    assert not state["head.weight"].requires_grad
    assert state["head.weight"].data_ptr() == a.head.weight.data_ptr()
    assert a.state_dict(keep_vars=True)["head.weight"] is a.head.weight
    assert next(iter(a.state_dict(prefix="m."))) == "m.encoder.0.scale"
    into: dict[str, Any] = {"x": 1}
    assert a.state_dict(destination=into) is into
    weight = b.head.weight
    result = b.load_state_dict(state)
    assert result == ([], [])
    assert repr(result) == "<All keys matched successfully>"
    assert b.head.weight is weight
    assert weight.requires_grad
    assert same(snapshot(a), snapshot(b))


def test_load_takes_arrays_and_converts() -> None:
    net = nn.Linear(2, 1)
    net.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": np.array([3], dtype=np.int64)})
    assert net.weight.dtype == gs.float32
    assert net(gs.tensor([[1.0, 1.0]])).item() == 6.0


def test_load_lists_all_differences_and_loads_nothing() -> None:
    net = Net()
    before = snapshot(net)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    for value in state.values():
        value.fill_(7.0)
    del state["encoder.0.fc.bias"]
    state["extra"] = gs.zeros(1)
    state["encoder.0.scale"] = gs.zeros(4)
    state["head.weight"] = "text"
    with pytest.raises(ValueError, match="does not fit Net; nothing was loaded") as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert "missing keys (1):\n    encoder.0.fc.bias" in message
    assert "unexpected keys (1):\n    extra" in message
    assert "mismatched (2):" in message
    assert "encoder.0.scale: has shape (4,), expected (3,)" in message
    assert "head.weight: is a str, expected a tensor" in message
    assert same(before, snapshot(net))
    with pytest.raises(ValueError, match="mismatched") as caught:
        net.load_state_dict(state, strict=False)
    assert "missing" not in str(caught.value)
    assert same(before, snapshot(net))


def test_load_without_strict() -> None:
    net = nn.Linear(2, 2)
    result = net.load_state_dict({"bias": gs.ones(2), "other": gs.ones(1)}, strict=False)
    assert result.missing_keys == ["weight"]
    assert result.unexpected_keys == ["other"]
    assert "missing_keys=['weight']" in repr(result)
    assert net.bias.tolist() == [1.0, 1.0]


def test_load_refuses_what_is_no_state() -> None:
    with pytest.raises(TypeError, match="is a list, expected a dictionary"):
        nn.Linear(1, 1).load_state_dict([1])
    with pytest.raises(ValueError, match="dtype float32, expected int64"):
        nn.BatchNorm1d(2).load_state_dict({"num_batches_tracked": gs.zeros(())}, strict=False)


def test_load_with_assign() -> None:
    net = nn.Linear(2, 1)
    weight = gs.ones(1, 2, dtype=gs.float64)
    net.load_state_dict({"weight": weight, "bias": gs.zeros(1)}, assign=True)
    assert type(net.weight) is nn.Parameter
    assert net.weight.requires_grad
    assert net.weight.dtype == gs.float64
    assert net.weight.data_ptr() == weight.data_ptr()


# ---- repr ----------------------------------------------------------------------------------------


def test_repr() -> None:
    assert repr(Net()) == (
        "Net(\n"
        "  (encoder): Sequential(\n"
        "    (0): Block(\n"
        "      (fc): Linear(in_features=3, out_features=3, bias=True)\n"
        "    )\n"
        "    (1): ReLU()\n"
        "  )\n"
        "  (head): Linear(in_features=3, out_features=2, bias=False)\n"
        ")"
    )
    layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()])
    assert repr(layers) == "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)"
    assert repr(nn.ModuleList()) == "ModuleList()"
    values = nn.ParameterList([gs.ones(2, 3), gs.ones(1)])
    assert repr(values) == (
        "ParameterList(\n"
        "  (0): Parameter containing: [float32 of size 2x3]\n"
        "  (1): Parameter containing: [float32 of size 1]\n"
        ")"
    )


# ---- containers ----------------------------------------------------------------------------------


def test_sequential() -> None:
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
    net = nn.Sequential(a, b, c)
    assert len(net) == 3
    assert list(net) == [a, b, c]
    assert net[-1] is c
    assert list(net[:2]) == [a, b]
    assert isinstance(net[1:], nn.Sequential)
    assert [name for name, _ in net[1:].named_children()] == ["1", "2"]
    assert net.append(nn.Tanh()) is net
    net.insert(0, nn.Flatten())
    net.extend([nn.Identity()])
    assert [type(m).__name__ for m in net] == [
        *("Flatten", "Linear", "ReLU", "Linear", "Tanh", "Identity"),
    ]
    assert [name for name, _ in net.named_children()] == list("012345")
    del net[0]
    assert net.pop().__class__ is nn.Identity
    net[1] = nn.Sigmoid()
    assert type(net[1]) is nn.Sigmoid
    assert len(net + net) == 8
    assert nn.Sequential()(5) == 5
    named = nn.Sequential({"first": a, "second": c})
    assert next(iter(named.state_dict())) == "first.weight"
    named[0] = a
    assert [name for name, _ in named.named_children()] == ["first", "second"]


@pytest.mark.parametrize("container", [nn.Sequential, nn.ModuleList])
def test_list_errors(container: Any) -> None:
    net = container()
    net.append(nn.ReLU())
    with pytest.raises(IndexError, match="index 3 is out of range for 1 entries"):
        net[3]
    with pytest.raises(IndexError, match="index -2"):
        net[-2] = nn.ReLU()
    with pytest.raises(TypeError, match="index is a str"):
        net["a"]
    with pytest.raises(TypeError, match="got a int, expected Module"):
        net.append(3)
    with pytest.raises(TypeError, match="got a function, expected Module"):
        net.extend([nn.ReLU(), abs, lambda x: x][::2])
    assert len(net) == 1
    with pytest.raises(IndexError, match="insert"):
        net.insert(5, nn.ReLU())


def test_module_list() -> None:
    layers = nn.ModuleList(nn.Linear(i + 1, 1) for i in range(3))
    assert [layer.in_features for layer in layers] == [1, 2, 3]
    assert isinstance(layers[:2], nn.ModuleList)
    layers += [nn.ReLU()]
    layers[0:2] = [nn.Tanh()]
    assert [type(m).__name__ for m in layers] == ["Tanh", "Linear", "ReLU"]
    del layers[1:]
    assert len(layers) == 1
    with pytest.raises(NotImplementedError):
        layers(1)


def test_module_dict() -> None:
    d = nn.ModuleDict({"a": nn.ReLU()})
    d["b"] = nn.Linear(1, 1)
    d.update([("c", nn.Tanh())])
    assert list(d) == list(d.keys()) == ["a", "b", "c"]
    assert len(d) == 3
    assert "b" in d
    assert [type(v).__name__ for v in d.values()] == ["ReLU", "Linear", "Tanh"]
    assert next(iter(d.items()))[0] == "a"
    assert type(d.pop("a")) is nn.ReLU
    del d["b"]
    assert list(d.state_dict()) == []
    with pytest.raises(KeyError):
        d["zzz"]
    with pytest.raises(TypeError, match="'x' is a int"):
        d["x"] = 3
    with pytest.raises(ValueError, match="another attribute"):
        d["keys"] = nn.ReLU()
    d.clear()
    assert len(d) == 0


def test_parameter_containers() -> None:
    values = nn.ParameterList([gs.ones(2), nn.Parameter(gs.zeros(1))])
    values.append(gs.ones(3))
    values[0] = gs.zeros(4)
    assert [p.numel() for p in values.parameters()] == [4, 1, 3]
    assert all(type(p) is nn.Parameter for p in values)
    assert list(values.state_dict()) == ["0", "1", "2"]
    with pytest.raises(TypeError, match="expected a Parameter"):
        values.append(3)
    named = nn.ParameterDict({"a": gs.ones(1)})
    named["b"] = gs.zeros(2)
    assert list(named.state_dict()) == ["a", "b"]
    assert type(named["b"]) is nn.Parameter
    with pytest.raises(TypeError, match="'c' is a str"):
        named["c"] = "x"


# ---- nn.utils ------------------------------------------------------------------------------------


def with_gradients(*values: Any) -> list[nn.Parameter]:
    parameters = []
    for value in values:
        parameter = nn.Parameter(gs.zeros(len(value)))
        parameter.grad = gs.tensor(value)
        parameters.append(parameter)
    return parameters


def test_clip_grad_norm() -> None:
    parameters = with_gradients([3.0, 0.0], [0.0, -4.0])
    parameters.append(nn.Parameter(gs.zeros(1)))
    assert nn.utils.clip_grad_norm_(parameters, 10.0).item() == pytest.approx(5.0)
    assert parameters[0].grad.tolist() == [3.0, 0.0]
    assert nn.utils.clip_grad_norm_(iter(parameters), 1.0).item() == pytest.approx(5.0)
    assert parameters[1].grad.tolist() == pytest.approx([0.0, -0.8], rel=1e-5)
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0.0
    single = with_gradients([3.0, -4.0])[0]
    assert nn.utils.clip_grad_norm_(single, 2.0, norm_type=float("inf")).item() == 4.0
    assert single.grad.tolist() == pytest.approx([1.5, -2.0], rel=1e-5)
    assert nn.utils.clip_grad_norm_(single, 9.0, norm_type=1).item() == pytest.approx(3.5, rel=1e-5)


def test_clip_grad_norm_of_what_is_not_finite() -> None:
    parameters = with_gradients([float("nan"), 1.0])
    with pytest.raises(ValueError, match="norm of the gradients is nan"):
        nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert parameters[0].grad[1].item() == 1.0
    assert np.isnan(nn.utils.clip_grad_norm_(parameters, 1.0).item())
    assert np.isnan(parameters[0].grad.numpy()).all()


def test_clip_grad_errors() -> None:
    parameters = with_gradients([1.0])
    with pytest.raises(ValueError, match="norm_type is 0"):
        nn.utils.clip_grad_norm_(parameters, 1.0, norm_type=0)
    with pytest.raises(ValueError, match="max_norm is -1"):
        nn.utils.clip_grad_norm_(parameters, -1)
    with pytest.raises(ValueError, match="clip_value is nan"):
        nn.utils.clip_grad_value_(parameters, float("nan"))
    with pytest.raises(TypeError, match="holds a int"):
        nn.utils.clip_grad_value_([1], 1.0)  # type: ignore[list-item]


def test_clip_grad_value() -> None:
    (parameter,) = with_gradients([3.0, -4.0, 0.5])
    nn.utils.clip_grad_value_([parameter], 1)
    assert parameter.grad.tolist() == [1.0, -1.0, 0.5]


def test_parameters_as_vector() -> None:
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (9,)
    assert vector.requires_grad
    nn.utils.vector_to_parameters(gs.arange(9).to(gs.float32), net.parameters())
    assert net.weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert net.bias.tolist() == [6.0, 7.0, 8.0]
    with pytest.raises(ValueError, match=r"shape \(8,\), expected \(9,\)"):
        nn.utils.vector_to_parameters(gs.zeros(8), net.parameters())
    with pytest.raises(ValueError, match="no parameters"):
        nn.utils.parameters_to_vector([])
    with pytest.raises(TypeError, match="vec is a list"):
        nn.utils.vector_to_parameters([1.0], net.parameters())  # type: ignore[arg-type]
