# SPDX-License-Identifier: Apache-2.0
"""Functions without a gradient: the reason, and a call that shows it.

`X` requires a gradient; what comes out does not.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
import pytest

import gradsmith as gs
import gradsmith.nn.functional as F
from gradsmith import images
from gradsmith.nn import utils
from gradsmith.nn.utils import rnn
from tests.gradient_samples import normal, positive


class Reason(Enum):
    """Why nothing that comes out has a gradient; test_every_gradient.py tests what it says."""

    WHOLE = "integers or bools come out"
    NO_TENSOR = "no tensor comes out"
    MAKES = "makes a tensor of numbers, of sizes or of what a file or another library has"
    DRAWS = "draws at random, not by a formula in the input"
    STEPS = "stays the same where the input changes a little"
    DIFFERS = "has none, other than in PyTorch: docs/differences.md says so"
    DETACHES = "takes the tensor off the tape, which is what it is for"
    UPDATES = "changes parameters or their gradients, off the tape"
    REFUSED = "changes a tensor that is off the tape; one on the tape is refused"
    ARRAYS = "prepares arrays; tensors are refused"


Rows = dict[str, Callable[[], Any]]
X = gs.tensor(positive(2, 3), requires_grad=True)
Y = gs.tensor(normal(2, 3), requires_grad=True)
WHOLE = gs.tensor([[4, 0, 6], [3, 9, 1]])
BOOLS = WHOLE > 3


def layer() -> gs.nn.Module:
    """Return a layer whose parameters have gradients."""
    made = gs.nn.Linear(3, 2)
    made(gs.ones(1, 3)).sum().backward()
    return made


def fresh() -> gs.Tensor:
    """Return a tensor without gradient, which may be changed."""
    return gs.tensor(positive(2, 3))


def whole() -> gs.Tensor:
    return WHOLE.clone()


def _forked() -> None:
    with gs.random.fork_rng():
        gs.rand(2)


def _methods(names: str, *args: Any, of: gs.Tensor = X) -> Rows:
    return {f"Tensor.{name}": lambda n=name: getattr(of, n)(*args) for name in names.split()}


def _functions(names: str, *args: Any) -> Rows:
    return {f"gs.{name}": lambda n=name: getattr(gs, n)(*args) for name in names.split()}


def _attributes(names: str) -> Rows:
    return {f"Tensor.{name}": lambda n=name: getattr(X, n) for name in names.split()}


def _written() -> str:
    """Return the path of a file with a tensor, in the folder of the test."""
    gs.save({"x": X}, "x.safetensors")
    return "x.safetensors"


WHOLE_NUMBERS: Rows = {
    **_functions("all any argmax argmin argsort argwhere count_nonzero isfinite isinf isnan", X),
    **_functions("isneginf isposinf isreal logical_not nonzero signbit", X),
    **_functions("eq ne ge greater le less isclose isin logical_and logical_or logical_xor", X, Y),
    **_functions("bitwise_and bitwise_or bitwise_xor gcd lcm", WHOLE, WHOLE),
    **_functions("bitwise_left_shift bitwise_right_shift", WHOLE, 1),
    **_functions("tril_indices triu_indices randint", 2, 3),
    "gs.bincount": lambda: gs.bincount(WHOLE[0]),
    "gs.bitwise_not": lambda: gs.bitwise_not(WHOLE),
    "gs.bucketize": lambda: gs.bucketize(X, Y[0].sort().values),
    "gs.searchsorted": lambda: gs.searchsorted(Y[0].sort().values, X[0]),
    "gs.linalg.matrix_rank": lambda: gs.linalg.matrix_rank(X),
    "gs.multinomial": lambda: gs.multinomial(X, 2),
    "gs.randperm": lambda: gs.randperm(4),
    "gs.unravel_index": lambda: gs.unravel_index(WHOLE, (3, 4)),
    "F.one_hot": lambda: F.one_hot(WHOLE),
    "gs.nn.utils.rnn.length_mask": lambda: rnn.length_mask(gs.tensor([2, 1])),
    "gs.nn.utils.rnn.mask_lengths": lambda: rnn.mask_lengths(rnn.length_mask(WHOLE[0])),
    "gs.images.nms": lambda: images.nms(gs.tensor([[0.0, 0.0, 1.0, 1.0]]), X[0, :1]),
    **_methods("bool byte int long"),
    **_methods("__eq__ __ne__", Y),
    **_methods("__rlshift__ __rrshift__", 5, of=WHOLE),
    **{
        f"Tensor.{name}_": lambda n=name: getattr(whole(), f"{n}_")(WHOLE)
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm", "bitwise_left_shift")
    },
    "Tensor.bitwise_right_shift_": lambda: whole().bitwise_right_shift_(1),
    "Tensor.bitwise_not_": lambda: whole().bitwise_not_(),
    **{
        f"Tensor.logical_{name}_": lambda n=name: getattr(BOOLS.clone(), f"logical_{n}_")(BOOLS)
        for name in ("and", "or", "xor")
    },
    "Tensor.logical_not_": lambda: BOOLS.clone().logical_not_(),
    "Tensor.random_": lambda: whole().random_(0, 9),
}

NO_TENSOR: Rows = {
    **_functions("get_default_dtype get_num_threads is_grad_enabled initial_seed"),
    **_functions("get_float32_matmul_precision"),
    **_functions("get_device is_complex is_floating_point is_signed is_tensor numel", X),
    **_functions("allclose equal is_same_size", X, Y),
    "gs.is_nonzero": lambda: gs.is_nonzero(X[0, 0]),
    **_functions("can_cast promote_types", gs.float32, gs.float64),
    "gs.broadcast_shapes": lambda: gs.broadcast_shapes((2, 1), (3,)),
    "gs.finfo": lambda: gs.finfo(gs.float32),
    "gs.iinfo": lambda: gs.iinfo(gs.int64),
    "gs.result_type": lambda: gs.result_type(X, 2),
    "gs.doctor": lambda: gs.doctor(layer(), batch=gs.ones(1, 3)),
    "gs.show_config": gs.show_config,
    "gs.save": lambda: _written() and None,
    "gs.manual_seed": lambda: gs.manual_seed(0),
    "gs.seed": gs.seed,
    "gs.set_default_dtype": lambda: gs.set_default_dtype(gs.get_default_dtype()),
    "gs.set_float32_matmul_precision": lambda: gs.set_float32_matmul_precision("highest"),
    "gs.set_num_threads": lambda: gs.set_num_threads(gs.get_num_threads()),
    "gs.set_printoptions": lambda: gs.set_printoptions(),
    "gs.set_rng_state": lambda: gs.set_rng_state(gs.get_rng_state()),
    **_attributes("device dtype grad_fn is_cpu is_cuda is_leaf itemsize nbytes ndim shape"),
    **_methods("data_ptr dim element_size is_contiguous is_floating_point nelement size stride"),
    **_methods("register_hook register_post_accumulate_grad_hook", lambda g: None),
    **_methods("retain_grad tolist"),
    "Tensor.backward": lambda: (X * 1).sum().backward(),
    "Tensor.item": lambda: X[0, 0].item(),
    "Tensor.numpy": lambda: fresh().numpy(),
    "Tensor.__array__": lambda: np.asarray(fresh()),
    "Tensor.__bool__": lambda: bool(X[0, 0]),
    "Tensor.__contains__": lambda: 3.0 in X,
    "Tensor.__cuda_array_interface__": lambda: hasattr(fresh(), "__cuda_array_interface__"),
    "Tensor.__dlpack__": lambda: fresh().__dlpack__(),
    "Tensor.__dlpack_device__": lambda: fresh().__dlpack_device__(),
    "Tensor.__float__": lambda: float(X[0, 0]),
    "Tensor.__format__": lambda: f"{X[0, 0]:.3f}",
    "Tensor.__index__": lambda: [0, 1, 2, 3, 4][WHOLE[0, 0]],
    "Tensor.__int__": lambda: int(X[0, 0]),
    "Tensor.__len__": lambda: len(X),
    "Tensor.__repr__": lambda: repr(X),
    "Tensor.__reduce_ex__": lambda: _refused(lambda: pickle.dumps(X), TypeError, "save"),
    "gs.random.fork_rng": _forked,
    "gs.images.read": lambda: _refused(lambda: images.read(X), TypeError, "expected a path"),
}


def _refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


MAKES: Rows = {
    **_functions("empty ones zeros rand randn eye", 2, 3),
    **_functions("empty_like ones_like zeros_like rand_like randn_like", X),
    **_methods("new_empty new_ones new_zeros", 2, 3),
    **_functions("arange linspace logspace", 1.0, 3.0, 4),
    **_functions("bartlett_window blackman_window hamming_window hann_window kaiser_window", 4),
    "gs.arange": lambda: gs.arange(1.0, 3.0),
    "gs.full": lambda: gs.full((2,), 1.0),
    "gs.full_like": lambda: gs.full_like(X, 1.0),
    "gs.randint_like": lambda: gs.randint_like(X, 3),
    "gs.tensor": lambda: gs.tensor([[1.0]]),
    "gs.from_numpy": lambda: gs.from_numpy(np.ones(2)),
    "gs.from_dlpack": lambda: gs.from_dlpack(np.ones(2)),
    "gs.load": lambda: gs.load(_written()),
    "gs.get_rng_state": gs.get_rng_state,
    "Tensor.new_full": lambda: X.new_full((2,), 1.0),
    "Tensor.new_tensor": lambda: X.new_tensor([1.0]),
    "Tensor.__init__": lambda: gs.Tensor(np.ones(2)),
}
DRAWS: Rows = {
    **_functions("bernoulli poisson", X),
    "gs.normal": lambda: gs.normal(Y, X),
}
_STATISTICS = (X[:, 0], X[:, 1], 1e-5, X[:, 2], Y[:, 0])


def _fused(kind: str, module: gs.nn.Module) -> list[gs.Tensor]:
    norm = gs.nn.BatchNorm1d(2).eval()
    fuse = getattr(utils, f"fuse_{kind}_bn_eval")
    return list(fuse(utils.freeze(module).eval(), norm).parameters())


DIFFERS: Rows = {
    **_functions("unique unique_consecutive", X),
    "gs.nextafter": lambda: gs.nextafter(X, Y),
    "Tensor.nextafter_": lambda: (X * 1).nextafter_(Y.detach()),
    "gs.histogram": lambda: gs.histogram(X.flatten(), 4, weight=Y.flatten()),
}
DETACHES: Rows = {
    **_methods("detach"),
    "Tensor.data": lambda: X.data,
    "Tensor.detach_": lambda: (X * 1).detach_(),
    "Tensor.requires_grad_": lambda: copy.deepcopy(X).requires_grad_(False),
    # Of parameters that are not trained, though the norm's are: what comes out is new parameters.
    "gs.nn.utils.fuse_conv_bn_weights": lambda: utils.fuse_conv_bn_weights(
        fresh()[..., None], None, *_STATISTICS
    ),
    "gs.nn.utils.fuse_linear_bn_weights": lambda: utils.fuse_linear_bn_weights(
        fresh(), None, *_STATISTICS
    ),
    "gs.nn.utils.fuse_conv_bn_eval": lambda: _fused("conv", gs.nn.Conv1d(1, 2, 3)),
    "gs.nn.utils.fuse_linear_bn_eval": lambda: _fused("linear", gs.nn.Linear(3, 2)),
    "F.winner_take_all": lambda: F.winner_take_all(X, Y),
    "F.kohonen_step": lambda: F.kohonen_step(X, Y, 0.1),
}
STEPS: dict[str, Callable[[gs.Tensor], Any]] = {
    "gs.heaviside": lambda x: gs.heaviside(x, gs.ones_like(x)),
    "gs.histc": lambda x: gs.histc(x, 4, 0, 1),
    "F.hardmax": F.hardmax,
    "Tensor.heaviside_": lambda x: (x * 1).heaviside_(gs.ones_like(x)),
}
UPDATES: Rows = {
    **{
        f"gs.nn.utils.{name}": lambda n=name: getattr(utils, n)(layer().parameters(), 1.0)
        for name in ("clip_grad_norm_", "clip_grad_norm_per_tensor_", "clip_grad_value_")
    },
    "gs.nn.utils.add_grad_noise_": lambda: utils.add_grad_noise_(layer().parameters(), 1),
    "gs.nn.utils.clip_grads_with_norm_": lambda: utils.clip_grads_with_norm_(
        layer().parameters(), 1.0, gs.tensor(2.0)
    ),
    "gs.nn.utils.freeze": lambda: list(utils.freeze(layer()).parameters()),
    "gs.nn.utils.get_total_norm": lambda: utils.get_total_norm([X, Y]),
    "gs.nn.utils.remove_spectral_norm": lambda: _removed("spectral_norm"),
    "gs.nn.utils.remove_weight_norm": lambda: _removed("weight_norm"),
    "gs.nn.utils.unfreeze": lambda: utils.unfreeze(layer()) and None,
    "gs.nn.utils.vector_to_parameters": lambda: utils.vector_to_parameters(
        gs.ones(8), layer().parameters()
    ),
}


def _removed(name: str) -> None:
    made = getattr(utils, name)(layer())
    getattr(utils, f"remove_{name}")(made)


REFUSED: dict[str, Callable[[gs.Tensor], Any]] = {
    f"Tensor.{name}_": lambda x, n=name: getattr(x, f"{n}_")(*([0.5] if n == "geometric" else []))
    for name in ("bernoulli", "cauchy", "exponential", "geometric", "log_normal", "normal")
}
REFUSED["Tensor.uniform_"] = lambda x: x.uniform_()
REFUSED["Tensor.__deepcopy__"] = copy.deepcopy


def _images(names: str, *args: Any) -> Rows:
    return {
        f"gs.images.{name}": lambda n=name: getattr(images, n)(X, *args) for name in names.split()
    }


ARRAYS: Rows = {
    **_images("add_gaussian_noise adjust_brightness adjust_contrast adjust_hue", 0.1),
    **_images("adjust_saturation add_salt_and_pepper denoise_total_variation gaussian_blur", 0.1),
    **_images("bilateral_filter canny equalize_histogram flip hsv_to_rgb laplacian median_filter"),
    **_images("rgb_to_hsv sharpen sobel to_grey to_rgb unsharp_mask"),
    **_images("rotate", 30.0),
    **_images("closing dilate erode opening", 3),
    **_images("gaussian_pyramid laplacian_pyramid", 2),
    **_images("convolve wiener_deconvolution overlay_mask", np.ones((3, 3))),
    **_images("affine warp", np.eye(3)),
    **_images("draw_boxes", [[0, 0, 1, 1]]),
    **_images("resize", (2, 2)),
    **_images("crop", 0, 0, 1, 1),
    "gs.images.collapse_pyramid": lambda: images.collapse_pyramid([X, X[:1, :2]]),
    "gs.images.affine_matrix": lambda: images.affine_matrix(X),
    "gs.images.write": lambda: images.write("x.png", X),
}
ROWS: dict[Reason, dict[str, Any]] = {
    Reason.WHOLE: WHOLE_NUMBERS,
    Reason.NO_TENSOR: NO_TENSOR,
    Reason.MAKES: MAKES,
    Reason.DRAWS: DRAWS,
    Reason.STEPS: STEPS,
    Reason.DIFFERS: DIFFERS,
    Reason.DETACHES: DETACHES,
    Reason.UPDATES: UPDATES,
    Reason.REFUSED: REFUSED,
    Reason.ARRAYS: ARRAYS,
}
REASONS = [(reason, name) for reason, rows in ROWS.items() for name in rows]
