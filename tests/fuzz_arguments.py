# SPDX-License-Identifier: Apache-2.0
"""Random arguments for `tests.fuzz_public`: mostly right ones, so that calls reach the kernels.

What a parameter takes comes from its annotation and its name. The tensors of one call share a
`Scene`: sizes that fit together, and a dtype. One argument in twelve is anything at all.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import numpy as np

import gradsmith as gs
from tests.fuzz_calls import RIGHT, right_arguments

SHAPES = [(), (0,), (1,), (4,), (3, 0), (3, 4), (4, 4), (2, 3, 4), (2, 4, 7), (2, 3, 5, 6)]
DTYPES = [
    gs.float32,
    gs.float64,
    gs.bfloat16,
    gs.float16,
    gs.int64,
    gs.int32,
    gs.uint8,
    gs.backend.bool_,
]
FLOATING = DTYPES[:4]
_EXTREMES = [np.nan, np.inf, -np.inf, 1e38]


class Scene(NamedTuple):
    """What the tensors of a call have in common: a shape, whether all sizes are equal, a dtype."""

    shape: tuple[int, ...]
    cube: bool
    dtype: Any

    @property
    def size(self) -> int:
        """The size that counts of features, channels and classes mostly have."""
        return self.shape[-1] if self.shape else 1


class Call(NamedTuple):
    """Arguments, and the scene they are from."""

    args: list[Any]
    kwargs: dict[str, Any]
    scene: Scene


def scene_of(rng: Random, name: str = "") -> Scene:
    """Return what the tensors of a call share; a 2 in a function's name asks for images."""
    dtype = rng.choice([*[gs.float32] * 12, gs.float64, gs.float64, *DTYPES])
    if rng.randrange(5):
        planes = re.search(r"([123])d", name)
        ranks = [2, 2, 3, 3, 4, 4, 1, 1, 5, 0]
        rank = rng.choice(ranks) if planes is None else 2 + int(planes[1])
        return Scene((rng.choice([3, 3, 3, 4, 2, 1, 0]),) * rank, True, dtype)
    return Scene(rng.choice(SHAPES), False, dtype)


def _shape(rng: Random, scene: Scene) -> tuple[int, ...]:
    choice = rng.randrange(12)
    if choice == 0:
        return rng.choice(SHAPES)
    if choice < 8:
        return scene.shape
    if scene.cube:
        return (scene.size,) * rng.randrange(6)
    return scene.shape[rng.randrange(len(scene.shape) + 1) :]


def tensor(rng: Random, scene: Scene, dtypes: list[Any] | None = None) -> gs.Tensor:
    """Return a tensor of any stride and content, mostly like the others of its scene."""
    shape = _shape(rng, scene)
    dtype = rng.choice(dtypes or [scene.dtype] * 20 + DTYPES)
    numbers, kind = np.random.default_rng(rng.randrange(10)), rng.randrange(4)
    values = np.asarray(numbers.random(shape) if kind == 0 else numbers.normal(0, 2, shape))
    if dtype not in FLOATING and kind < 3:
        values = np.asarray(numbers.integers(0, 3, shape))  # fits as indices, classes and lengths
    if values.size and rng.randrange(6) == 0:
        values = values.astype(np.float64)
        values.flat[0] = rng.choice(_EXTREMES)
    with np.errstate(all="ignore"):
        array = np.asarray(values.astype(dtype))
    layout = rng.randrange(6)
    if layout == 1:
        array = np.asfortranarray(array)
    elif layout == 2 and array.ndim:
        array = array[..., ::-1]
    return gs.Tensor(array, requires_grad=dtype in FLOATING and rng.random() < 0.5)


_SMALL = [1, 1, 1, 2, 2, 3, 0, -1, 5]
_FLOATS = [0.0, 0.1, 0.5, 1.0, 2.0, 0.9, -1.0, 1e-5, 1e30, float("nan"), float("inf")]
_ODD: list[Any] = [
    *(None, True, False, "", "mean", "cuda", (), (1,), (2, 2), [1, -1], (2**62, 4), (1.5,), {}),
    *(1j, b"x", slice(None), Ellipsis, float, [[1, 2], [3]], (None,), "a b c", ["a", "b"]),
    *(2**40, 2**62, 2**63, -(2**63), 10**30, -70, 7, np.zeros(3, np.complex64)),
    *(np.array(["a"]), np.zeros((3, 4), np.complex64), {"a": 1}, lambda *_: None),
]


def _anything(rng: Random) -> Any:
    return rng.choice([*_ODD, *_SMALL, *_FLOATS, *(tensor(rng, scene_of(rng)) for _ in range(4))])


# The words that options take, by the name of the option.
_WORDS: dict[str, str] = {
    "reduction": "mean sum none",
    "reduce": "sum prod mean amax amin",
    "padding_mode": "zeros reflect replicate circular border reflection edge symmetric constant",
    "mode": "constant reflect replicate circular nearest bilinear linear bicubic area trilinear "
    "nearest-exact fan_in fan_out min max triangular sum mean complete reduced r",
    "interpolation": "linear lower higher nearest midpoint bilinear bicubic",
    "equation": "ij,jk->ik ij->j ij->ji i,i-> ij,ij->ij ...i->... bij,bjk->bik ii",
    "indexing": "ij xy",
    "side": "left right",
    "rounding_mode": "floor trunc",
    "nonlinearity": "relu tanh sigmoid linear leaky_relu conv2d selu",
    "activation": "relu gelu tanh",
    "approximate": "none tanh",
    "average": "macro micro weighted none",
    "ord": "fro nuc",
    "p": "fro nuc",
    "UPLO": "L U",
    "mask_type": "A B",
    "initializer": "zeros glorot_uniform he_normal orthogonal",
    "device": "cpu cpu cpu cuda tpu",
    "anneal_strategy": "cos linear",
    "compute_mode": "use_mm_for_euclid_dist donot_use_mm_for_euclid_dist",
}
_TEXTS = ["", "a b c", "One two. Three!", "x", "\u00e9\u4e2d", "0", "a\0b", "m n"]
_AXES = [0, 1, -1, -1, 2, -2]
_INTEGER_TENSORS = (
    *("index", "indices", "labels", "lengths", "repeats", "counts", "sorter", "bins", "offsets"),
    *("classes", "tokens", "fweights"),
)
_TARGETS = ("target", "y_true", "truth")
_SHARES = ("momentum", "dropout", "prob", "alpha", "beta", "gamma", "share")


def network(size: int) -> gs.nn.Module:
    """Return a small network of as many inputs as outputs."""
    return gs.nn.Sequential(gs.nn.Linear(size, 2), gs.nn.ReLU(), gs.nn.Linear(2, size))


def optimizer(size: int) -> gs.optim.Optimizer:
    """Return an optimiser of a small network."""
    return gs.optim.SGD(network(size).parameters(), 0.1, momentum=0.9)


_FUNCTIONS: list[Callable[..., Any]] = [
    lambda *given: given[0] if given else None,
    lambda *given: gs.sum(gs.mul(given[0], given[0])) if given else 1.0,
    lambda *given: gs.tanh(given[0]) if given else gs.ones(2),
    lambda *_: 0.5,
    lambda point, *_: float(np.square(np.asarray(point)).sum()),
]
# Of the alternatives of an annotation: objects that fit, made from a size.
_OBJECTS: dict[str, Callable[[int], Any]] = {
    "None": lambda _: None,
    "Generator": lambda _: gs.Generator(),
    "Device": lambda _: gs.Device("cpu"),
    "Optimizer": optimizer,
    "PackedSequence": lambda size: gs.nn.utils.rnn.pack_sequence([gs.ones(2, size)] * 2),
    "Bounds": lambda size: [(-1.0, 1.0)] * min(size, 3),
    "Params": lambda size: list(network(size).parameters()),
    "LRScheduler": lambda size: gs.optim.lr_scheduler.StepLR(optimizer(size), 2),
    "Dataset[T_co]": lambda size: gs.data.TensorDataset(gs.ones(size, 2), gs.ones(size)),
    **dict.fromkeys(("Module", "nn.Module", "_M", "M"), network),
}
_SIZES = ("Size", "OutputSize", "Sequence[int]", "tuple[int, ...]", "Iterable[int]", "Lengths")
_SPANS = ("Sequence[float]", "Level", "Factor", "tuple[float, float]", "_PerGroup")


def _integer(rng: Random, name: str, scene: Scene) -> int:
    if name in ("dim", "dim0", "dim1", "dim2", "axis", "start_dim", "end_dim", "dims"):
        return rng.choice(_AXES)
    counts = ("features", "channels", "num_classes", "size", "embed", "d_model")
    if any(part in name for part in counts) and rng.randrange(3):
        return scene.size
    if any(part in name for part in ("head", "layers", "groups", "multiplier", "num_")):
        return rng.choice([1, 1, 2])
    return rng.choice([*_SMALL, scene.size])


def _tensor(rng: Random, name: str, scene: Scene) -> gs.Tensor:
    if "mask" in name or name == "condition":
        return tensor(rng, scene, [gs.backend.bool_])
    if any(part in name for part in _INTEGER_TENSORS):
        return tensor(rng, scene, [gs.int64, gs.int64, gs.int32])
    if name in _TARGETS and rng.randrange(3) == 0:
        return tensor(rng, scene, [gs.int64])
    return tensor(rng, scene)


def _sizes(rng: Random, name: str, scene: Scene) -> Any:
    if any(part in name for part in ("kernel", "stride", "padding", "dilation", "factor", "upper")):
        count = rng.choice([0, 0, 0, 0, 1, 2, 3])
        sizes = tuple(rng.choice([1, 2, 1, 2, 3, 0]) for _ in range(count))
        return sizes or rng.choice([1, 2, 1, 2, 3, 0, -1])
    choice = rng.randrange(3)
    if choice == 0:
        return rng.choice([1, 2, 1, 2, 3, 0, -1])
    if choice == 1:
        return scene.shape
    return tuple(rng.choice([1, 2, 3, 0, scene.size]) for _ in range(rng.randrange(5)))


def _array(rng: Random, scene: Scene) -> np.ndarray:
    array: np.ndarray = tensor(rng, scene, [gs.float32, gs.float64, gs.uint8, gs.int64]).numpy(
        force=True
    )
    return array


def _word(rng: Random, name: str) -> str:
    for key, words in _WORDS.items():
        if name == key or (len(key) > 4 and key in name):
            return rng.choice(words.split()) if rng.randrange(12) else "x"
    return rng.choice(_TEXTS)


def _number(rng: Random, name: str) -> float:
    if any(part in name for part in _SHARES):
        return rng.choice([0.0, 0.5, 0.9, 1.0])
    return rng.choice([*_FLOATS, *_SMALL])


def _of_kind(rng: Random, kind: str, name: str, scene: Scene) -> Any:
    """Return a value for one alternative of an annotation; LookupError where it is unknown."""
    if kind in _OBJECTS:
        return _OBJECTS[kind](max(scene.size, 1))
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "int":
        return _integer(rng, name, scene)
    if kind == "float":
        return _number(rng, name)
    if kind.startswith("str"):
        return _word(rng, name)
    if kind == "Array":
        return _array(rng, scene)
    if kind == "Dim":
        return rng.choice([rng.choice(_AXES), tuple(rng.sample(_AXES, rng.randrange(3)))])
    if kind.startswith("Callable") or kind in ("Function", "NextScores", "AvgFn"):
        return rng.choice(_FUNCTIONS)
    if kind in _SIZES:
        return _sizes(rng, name, scene)
    if kind in _SPANS:
        return rng.choice([(0.1, 0.9), (0.0, 1.0), (0.5,), rng.choice(_FLOATS)])
    if "Tensor" in kind:
        if kind in ("Tensor", "ForwardRef('Tensor')"):
            return _tensor(rng, name, scene)
        return [_tensor(rng, name, scene) for _ in range(rng.randrange(1, 4))]
    raise LookupError(kind)


def _alternatives(annotation: str) -> list[str]:
    """Split ``A | B[C | D]`` at the outermost bars."""
    found, depth = [""], 0
    for letter in annotation:
        depth += (letter in "[(") - (letter in "])")
        if letter == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [each.strip() for each in found]


def _value(rng: Random, each: inspect.Parameter, scene: Scene) -> Any:
    """Return a value for a parameter."""
    if rng.randrange(12) == 0:
        return _anything(rng)
    name, annotation = each.name.lower().strip("_"), each.annotation
    if "dtype" in name or name in ("type1", "type2"):
        return rng.choice(DTYPES)
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    try:
        return _of_kind(rng, rng.choice(_alternatives(text)), name, scene)
    except LookupError:
        return _unannotated(rng, name, scene)


def _unannotated(rng: Random, name: str, scene: Scene) -> Any:
    """Return what a parameter of no or a loose annotation most likely takes."""
    if "device" in name:
        return rng.choice(["cpu", "cpu", "cuda"])
    if name in ("size", "shape", "dims", "output_size"):
        return _sizes(rng, name, scene)
    if name in ("f", "path", "file"):
        return rng.choice(_TEXTS)
    if any(part in name for part in ("tensors", "arrays", "operands", "inputs")):
        return [tensor(rng, scene) for _ in range(rng.randrange(4))]
    if name in _TARGETS or rng.randrange(3):
        return _tensor(rng, name, scene)
    return rng.choice([_array(rng, scene), rng.choice(_FLOATS), rng.choice(_SMALL)])


def _spread(rng: Random, each: inspect.Parameter, scene: Scene) -> list[Any]:
    """Return values for ``*args``."""
    if each.annotation in ("int", int) or each.name in ("size", "shape", "dims", "sizes"):
        few = [rng.choice([1, 2, 3, 0, -1]) for _ in range(rng.randrange(5))]
        return rng.choice([few, list(scene.shape), [scene.shape[::-1]]])
    count = rng.randrange(4)
    if rng.randrange(4):
        return [tensor(rng, scene) for _ in range(count)]
    return [_anything(rng) for _ in range(count)]


def call_of(
    rng: Random, function: Callable[..., Any], method: bool = False, scene: Scene | None = None
) -> Call:
    """Return random arguments for a function, of a scene or of a new one."""
    name = getattr(function, "__name__", "")
    if name == "forward":
        name = f"{type(getattr(function, '__self__', None)).__name__}.forward"
    scene = scene or scene_of(rng, name)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    right = right_arguments(rng, name) if name in RIGHT and rng.randrange(3) else []
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for place, each in enumerate(parameters):
        if place < len(right) and rng.randrange(12):
            args.append(right[place])
        elif method and place == 0:
            args.append(tensor(rng, scene))
        elif each.kind is each.VAR_POSITIONAL:
            args += _spread(rng, each, scene)
        elif each.kind is each.VAR_KEYWORD or (each.default is not each.empty and rng.randrange(4)):
            continue  # options are mostly left out
        elif each.kind is each.KEYWORD_ONLY or each.default is not each.empty or kwargs:
            kwargs[each.name] = _value(rng, each, scene)
        else:
            args.append(_value(rng, each, scene))
    return Call(args, kwargs, scene)
