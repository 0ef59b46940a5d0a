# SPDX-License-Identifier: Apache-2.0
"""save and load: round trips, faults while writing, damaged and foreign files."""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import gradsmith as gs
from gradsmith import nn, optim
from gradsmith.io import atomic, checkpoint, read_header
from gradsmith.io.structure import MAX_DEPTH


def state() -> dict[str, Any]:
    return {
        "model": {"weight": gs.tensor([[1.0, -2.5]]), "bias": gs.tensor([0.5])},
        "optimizer": {"state": {0: {"step": 7, "moment": gs.tensor([True, False])}}},
        "step": 3,
    }


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, gs.Tensor):
        if not isinstance(b, gs.Tensor) or (a.dtype, a.shape) != (b.dtype, b.shape):
            return False
        return a._array.tobytes() == b._array.tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b or (a != a and b != b))


# ---- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [str(dtype) for dtype in gs.backend.DTYPES])
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (0,), (2, 0, 3)])
def test_every_dtype(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    tensor = gs.tensor(rng.integers(0, 2, shape)).to(dtype)
    gs.save({"x": tensor}, tmp_path / "a")
    loaded = gs.load(tmp_path / "a")
    assert equal({"x": tensor}, loaded)
    assert loaded["x"]._array.flags.writeable


def test_special_values_keep_their_bits(tmp_path: Path) -> None:
    values = np.array([np.nan, -np.nan, np.inf, -0.0, 5e-324, 1 / 3])
    for dtype in ("float32", "float64", "bfloat16", "float16"):
        tensor = gs.tensor(values).to(dtype)
        gs.save([tensor], tmp_path / "a")
        assert equal([tensor], gs.load(tmp_path / "a"))


@pytest.mark.parametrize(
    "value",
    [
        *({}, [], (), None, True, 0, -(2**70), 1.5, float("nan"), -float("inf"), "", "ä\n\0"),
        {"a": 1, 1: {"b": [(), [None, (1, 2.0)], {}]}, "tensor": "dict", "": 0},
        {"tensor": {"dict": 3}, "list": [1]},
        {"a.b": {"c": 1}, "a": {"b.c": 2}},
    ],
    ids=repr,
)
def test_states_without_tensors(tmp_path: Path, value: Any) -> None:
    gs.save(value, tmp_path / "a")
    assert equal(gs.load(tmp_path / "a"), value)


def test_nested_state(tmp_path: Path) -> None:
    gs.save(state(), tmp_path / "a")
    assert equal(gs.load(tmp_path / "a"), state())
    tricky = {"a": {"b": gs.ones(1)}, "a.b": gs.zeros(2), "": gs.ones(3), 0: gs.ones(4)}
    tricky["__metadata__"] = {"__metadata__": gs.ones(5)}
    gs.save(tricky, tmp_path / "a")
    assert equal(gs.load(tmp_path / "a"), tricky)
    gs.save(gs.ones(2), tmp_path / "a")
    assert equal(gs.load(tmp_path / "a"), gs.ones(2))


def test_module_and_order(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    path = tmp_path / "net.safetensors"
    gs.save(net.state_dict(), path)
    loaded = gs.load(path)
    assert list(loaded) == list(net.state_dict())
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    other.load_state_dict(loaded)
    assert equal(dict(other.state_dict()), dict(net.state_dict()))
    assert set(safetensors.numpy.load_file(path)) == set(loaded)


def test_views_and_parameters(tmp_path: Path) -> None:
    base = gs.arange(12).reshape(3, 4)
    views = {"t": base.transpose(0, 1), "s": base[:, 1:3], "e": gs.ones(1).expand(3)}
    views["p"] = nn.Parameter(gs.ones(2))
    gs.save(views, str(tmp_path / "a"))
    loaded = gs.load(str(tmp_path / "a"))
    for key, value in views.items():
        assert loaded[key].tolist() == value.tolist()
    assert not loaded["p"].requires_grad


def test_training_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    def make() -> tuple[nn.Module, optim.Optimizer]:
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        return net, optim.Adam(net.parameters(), lr=0.01)

    def train(net: nn.Module, optimizer: optim.Optimizer, steps: range) -> None:
        for step in steps:
            x = gs.tensor(np.random.default_rng(step).standard_normal((5, 3)).astype(np.float32))
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()

    net, optimizer = make()
    train(net, optimizer, range(3))
    gs.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a")
    train(net, optimizer, range(3, 6))
    other, other_optimizer = make()
    loaded = gs.load(tmp_path / "a")
    other.load_state_dict(loaded["net"])
    other_optimizer.load_state_dict(loaded["optimizer"])
    train(other, other_optimizer, range(3, 6))
    assert equal(dict(other.state_dict()), dict(net.state_dict()))


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for bad, message in (
        ({"a": [1, {"b": np.ones(2)}]}, r"a\.1\.b is a ndarray"),
        ({"a": object()}, "a is a object"),
        (nn.Linear(1, 1), "the state is a Linear"),
        ({"a": {(1, 2): 3}}, r"a has the key \(1, 2\) of type tuple"),
        ({True: 1}, "key True of type bool"),
        ({1.5: 1}, "key 1.5 of type float"),
    ):
        with pytest.raises(TypeError, match=message):
            gs.save(bad, path)
    deep: Any = 0
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(ValueError, match="nested deeper than 64"):
        gs.save(deep, path)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested deeper"):
        gs.save(endless, path)
    with pytest.raises(ValueError, match="reserved"):
        gs.save({"__metadata__": gs.ones(1)}, path)
    with pytest.raises(TypeError):
        gs.save({}, 3)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


# ---- faults while writing ------------------------------------------------------------------------


class Fault:
    """Makes the n-th call of an os function fail, or write short."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, code: int, nth: int = 1) -> None:
        self.real = getattr(os, name)
        self.code = code
        self.left = nth
        monkeypatch.setattr(atomic.os, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("open", errno.EACCES),
        ("write", errno.ENOSPC),
        ("write", errno.EIO),
        ("fsync", errno.EIO),
        ("replace", errno.EPERM),
    ],
)
def test_a_fault_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, code: int, existing: bool
) -> None:
    path = tmp_path / "a"
    if existing:
        gs.save(state(), path)
    with monkeypatch.context() as patch:
        Fault(patch, function, code)
        with pytest.raises(OSError, match=os.strerror(code)):
            gs.save({"x": gs.ones(1000)}, path)
    assert os.listdir(tmp_path) == (["a"] if existing else [])
    if existing:
        assert equal(gs.load(path), state())


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    gs.save(state(), path)

    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gs.save({}, path)
    assert os.listdir(tmp_path) == ["a"]
    assert equal(gs.load(path), state())


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "write", lambda fd, data: real(fd, data[:7]))
        gs.save(state(), tmp_path / "a")
    assert equal(gs.load(tmp_path / "a"), state())


def test_everything_reaches_the_disk_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("write", "fsync", "replace"):
        real = getattr(os, name)

        def noted(*args: Any, real: Any = real, name: str = name) -> Any:
            calls.append(name)
            return real(*args)

        monkeypatch.setattr(atomic.os, name, noted)
    gs.save(state(), tmp_path / "a")
    assert calls == ["write", "fsync", "replace", "fsync"]


def test_links_and_modes(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    gs.save({}, target)
    target.chmod(0o600)
    link.symlink_to(target)
    gs.save(state(), link)
    assert link.is_symlink()
    assert equal(gs.load(target), state())
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(FileNotFoundError):
        gs.save({}, tmp_path / "missing" / "a")


# ---- damaged files -------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "some.safetensors"
    gs.save(state(), path)
    return path, path.read_bytes()


def test_every_truncation_is_refused(saved: tuple[Path, bytes]) -> None:
    path, content = saved
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"load: .*some\.safetensors: "):
            gs.load(path)


def test_trailing_bytes_are_refused(saved: tuple[Path, bytes]) -> None:
    path, content = saved
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match=r"some\.safetensors"):
        gs.load(path)


@pytest.mark.parametrize("bit", [0, 1, 5, 7])
def test_every_flipped_bit_is_noticed(saved: tuple[Path, bytes], bit: int) -> None:
    path, content = saved
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        loaded = None
        with suppress(ValueError):
            loaded = gs.load(path)
        assert loaded is None or equal(loaded, state()), f"byte {position}"


def rewrite(path: Path, change: Any) -> None:
    """Change the header (a dictionary) of a file in place."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    changed = change(header) or header
    text = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])


def metadata(**changes: Any) -> Any:
    def change(header: dict[str, Any]) -> None:
        for key, value in changes.items():
            if value is None:
                del header["__metadata__"][key]
            else:
                header["__metadata__"][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (metadata(gradsmith_version="2"), "format version '2'"),
        (metadata(gradsmith_version=None), "metadata is damaged"),
        (metadata(gradsmith_sha256=None), "metadata is damaged"),
        (metadata(gradsmith_structure=None), "metadata is damaged"),
        (metadata(gradsmith_other="x"), "metadata is damaged"),
        (metadata(gradsmith_sha256="0" * 64), "checksum"),
        (metadata(gradsmith_structure="{}"), "checksum"),
        (lambda h: h["model.bias"].update(shape=[1, 1]), "checksum"),
        (lambda h: h["model.bias"].update(dtype="I32"), "checksum"),
        (lambda h: h["model.bias"].update(shape=[2]), "damaged"),
        (lambda h: h["model.bias"].update(dtype="F128"), "damaged"),
        (lambda h: h["model.bias"].update(shape=[2**63, 2]), "damaged"),
        (lambda h: h["model.bias"].update(data_offsets=[4, 8]), "damaged"),
        (lambda h: h["model.bias"].update(data_offsets=[4, 0]), "damaged"),
        (lambda h: h.update(__metadata__=[1]), "metadata is no JSON object"),
        (lambda h: b"[1, 2]", "no JSON object"),
        (lambda h: b"{", "no valid JSON"),
        (lambda h: b'{"a": NaN}', "NaN is no JSON number"),
        (lambda h: b"\xff\xfe{}", "UTF-8|JSON"),
        (lambda h: b"[" * 200_000, "nested too deeply|JSON"),
        (lambda h: b'{"a":' * 200_000, "nested too deeply|JSON"),
        (lambda h: b'{"a": {"b": 1, "b": 1}}', "same key twice"),
    ],
)
def test_damaged_headers(saved: tuple[Path, bytes], change: Any, message: str) -> None:
    path, _ = saved
    rewrite(path, change)
    with pytest.raises(ValueError, match=message):
        gs.load(path)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ('{"dict":[["a",{"tensor":"nope"}]]}', "'nope', which is not there"),
        ('{"list":[{"tensor":"x"},{"tensor":"x"}]}', "not there"),
        ("null", "does not refer to tensor 'x'"),
        ('{"object":{"tensor":"x"}}', "unknown kind 'object'"),
        ('{"list":[],"dict":[]}', "not one that gradsmith writes"),
        ("[1]", "not one that gradsmith writes"),
        ('{"dict":{"a":1}}', "no list of pairs"),
        ('{"dict":[["a",1],["a",2]]}', "key 'a' twice"),
        ('{"dict":[[1.5,1]]}', "no list of pairs"),
        ('{"list":3}', "without items"),
        ('{"float":"0x1"}', "expected nan or inf"),
        ('{"list":[' * 70 + "]}" * 70, "nested deeper than 64|JSON"),
        ("{", "structure is no valid JSON"),
    ],
)
def test_forged_structures(tmp_path: Path, structure: str, message: str) -> None:
    """A correct checksum is no proof of a sane structure."""
    arrays = {"x": np.ones(2, dtype=np.float32)}
    info = {"gradsmith_version": "1", "gradsmith_structure": structure}
    info["gradsmith_sha256"] = checkpoint._digest(structure, arrays)
    path = tmp_path / "a"
    path.write_bytes(safetensors.numpy.save(arrays, info))
    with pytest.raises(ValueError, match=message):
        gs.load(path)


def test_foreign_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content, message in (
        (b"", "0 bytes, too few"),
        (b"\x80\x04}", "3 bytes, too few"),
        (b"PK\x03\x04" + b"\0" * 100, "truncated|header"),
        (b"\xff" * 100, "it is no safetensors file"),
        (bytes(100), "JSON"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            gs.load(path)
        with pytest.raises(ValueError, match=message):
            read_header(path)
    with pytest.raises(FileNotFoundError):
        gs.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        gs.load(tmp_path)


# ---- files of other programs ---------------------------------------------------------------------


def test_plain_safetensors(tmp_path: Path) -> None:
    arrays = {
        "f32": np.ones((2, 3), np.float32),
        "f16": np.array([1.5, -2.0], np.float16),
        "i8": np.array([-3], np.int8),
        "u16": np.array([65535], np.uint16),
        "bool": np.array([True, False]),
        "bf16": np.array([1.5], ml_dtypes.bfloat16),
        "i64": np.array(7),
    }
    path = tmp_path / "a"
    path.write_bytes(safetensors.numpy.save(arrays, {"format": "pt"}))
    loaded = gs.load(path)
    assert {key: str(value.dtype) for key, value in loaded.items()} == {
        **{"f32": "float32", "f16": "float16", "i8": "int64", "u16": "int64"},
        **{"bool": "bool", "bf16": "bfloat16", "i64": "int64"},
    }
    for key, array in arrays.items():
        assert loaded[key].tolist() == array.astype(np.float64).tolist()


def test_plain_safetensors_with_what_gradsmith_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(safetensors.numpy.save({"big": np.ones(1, np.uint64)}))
    with pytest.raises(ValueError, match="tensor 'big' has dtype U64"):
        gs.load(path)
    content = bytearray(safetensors.numpy.save({"flags": np.array([True])}))
    content[-1] = 7
    path.write_bytes(content)
    with pytest.raises(ValueError, match="bytes other than 0 and 1"):
        gs.load(path)


def test_read_header(saved: tuple[Path, bytes]) -> None:
    header = read_header(saved[0])
    assert header["model.weight"]["dtype"] == "F32"
    assert header["model.weight"]["shape"] == [1, 2]
    assert header["__metadata__"]["gradsmith_version"] == "1"


@pytest.mark.torch
def test_files_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    save_file(module.state_dict(), tmp_path / "torch")
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    net.load_state_dict(gs.load(tmp_path / "torch"))
    for key, value in module.state_dict().items():
        assert net.state_dict()[key].tolist() == value.tolist()
    gs.save({"x": gs.ones(2, dtype=gs.bfloat16)}, tmp_path / "own")
    assert load_file(tmp_path / "own")["x"].dtype == torch.bfloat16
