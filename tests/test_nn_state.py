# SPDX-License-Identifier: Apache-2.0
"""State of modules and its loading, repr, containers, and the functions of nn.utils."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradsmith as gs
from gradsmith import nn
from tests.nn_models import Net, same, snapshot

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


def test_sequential_with_a_parameter_of_its_own() -> None:
    class Scaled(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(2, 2))
            self.scale = nn.Parameter(gs.full((2,), 3.0))

        def forward(self, input: gs.Tensor) -> gs.Tensor:
            return super().forward(input) * self.scale

    network = Scaled()
    assert len(network) == 1
    assert list(network.state_dict()) == ["scale", "0.weight", "0.bias"]
    x = gs.ones(1, 2)
    np.testing.assert_allclose(
        network(x).detach().numpy(), 3 * network[0](x).detach().numpy(), rtol=1e-6
    )
    network.append(nn.ReLU())
    assert [type(module).__name__ for module in network] == ["Linear", "ReLU"]


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
    with pytest.raises(TypeError, match="an element is a int, expected a Module"):
        net.append(3)
    with pytest.raises(TypeError, match="an element is a function, expected a Module"):
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
