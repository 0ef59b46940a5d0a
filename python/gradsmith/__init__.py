# SPDX-License-Identifier: Apache-2.0
"""gradsmith: deep learning on kernels written by hand.

>>> import gradsmith as gs
>>> x = gs.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

import importlib as _importlib
from typing import TYPE_CHECKING, Any

from gradsmith import autograd as autograd
from gradsmith import backend as _backend
from gradsmith import cuda as cuda
from gradsmith import cudasim as cudasim
from gradsmith import memory as memory
from gradsmith import random as random
from gradsmith.autograd import enable_grad as enable_grad
from gradsmith.autograd import is_grad_enabled as is_grad_enabled
from gradsmith.autograd import no_grad as no_grad
from gradsmith.autograd import set_grad_enabled as set_grad_enabled
from gradsmith.backend import Device as Device
from gradsmith.backend import bfloat16 as bfloat16
from gradsmith.backend import float32 as float32
from gradsmith.backend import float64 as float64
from gradsmith.backend import get_default_dtype as get_default_dtype
from gradsmith.backend import int32 as int32
from gradsmith.backend import int64 as int64
from gradsmith.backend import set_default_dtype as set_default_dtype
from gradsmith.backend import uint8 as uint8
from gradsmith.config import get_num_threads as get_num_threads
from gradsmith.config import set_num_threads as set_num_threads
from gradsmith.config import show_config as show_config
from gradsmith.ops import linalg as linalg
from gradsmith.ops.creation import arange as arange
from gradsmith.ops.creation import as_tensor as as_tensor
from gradsmith.ops.creation import empty as empty
from gradsmith.ops.creation import empty_like as empty_like
from gradsmith.ops.creation import eye as eye
from gradsmith.ops.creation import from_numpy as from_numpy
from gradsmith.ops.creation import full as full
from gradsmith.ops.creation import full_like as full_like
from gradsmith.ops.creation import is_floating_point as is_floating_point
from gradsmith.ops.creation import is_tensor as is_tensor
from gradsmith.ops.creation import linspace as linspace
from gradsmith.ops.creation import logspace as logspace
from gradsmith.ops.creation import numel as numel
from gradsmith.ops.creation import ones as ones
from gradsmith.ops.creation import ones_like as ones_like
from gradsmith.ops.creation import tensor as tensor
from gradsmith.ops.creation import tril_indices as tril_indices
from gradsmith.ops.creation import triu_indices as triu_indices
from gradsmith.ops.creation import zeros as zeros
from gradsmith.ops.creation import zeros_like as zeros_like
from gradsmith.ops.elementwise import add as add
from gradsmith.ops.elementwise import atan2 as atan2
from gradsmith.ops.elementwise import div as div
from gradsmith.ops.elementwise import eq as eq
from gradsmith.ops.elementwise import floor_divide as floor_divide
from gradsmith.ops.elementwise import fmod as fmod
from gradsmith.ops.elementwise import ge as ge
from gradsmith.ops.elementwise import gt as gt
from gradsmith.ops.elementwise import isfinite as isfinite
from gradsmith.ops.elementwise import isinf as isinf
from gradsmith.ops.elementwise import isnan as isnan
from gradsmith.ops.elementwise import le as le
from gradsmith.ops.elementwise import logical_and as logical_and
from gradsmith.ops.elementwise import logical_not as logical_not
from gradsmith.ops.elementwise import logical_or as logical_or
from gradsmith.ops.elementwise import logical_xor as logical_xor
from gradsmith.ops.elementwise import lt as lt
from gradsmith.ops.elementwise import maximum as maximum
from gradsmith.ops.elementwise import minimum as minimum
from gradsmith.ops.elementwise import mul as mul
from gradsmith.ops.elementwise import ne as ne
from gradsmith.ops.elementwise import neg as neg
from gradsmith.ops.elementwise import pow as pow
from gradsmith.ops.elementwise import remainder as remainder
from gradsmith.ops.elementwise import sub as sub
from gradsmith.ops.elementwise import where as where
from gradsmith.ops.elementwise_activation import celu as celu
from gradsmith.ops.elementwise_activation import prelu as prelu
from gradsmith.ops.elementwise_activation import relu as relu
from gradsmith.ops.elementwise_activation import selu as selu
from gradsmith.ops.elementwise_activation import threshold as threshold
from gradsmith.ops.elementwise_combine import addcdiv as addcdiv
from gradsmith.ops.elementwise_combine import addcmul as addcmul
from gradsmith.ops.elementwise_combine import allclose as allclose
from gradsmith.ops.elementwise_combine import equal as equal
from gradsmith.ops.elementwise_combine import hypot as hypot
from gradsmith.ops.elementwise_combine import isclose as isclose
from gradsmith.ops.elementwise_combine import lerp as lerp
from gradsmith.ops.elementwise_combine import logaddexp as logaddexp
from gradsmith.ops.elementwise_combine import nan_to_num as nan_to_num
from gradsmith.ops.elementwise_math import acos as acos
from gradsmith.ops.elementwise_math import acosh as acosh
from gradsmith.ops.elementwise_math import asin as asin
from gradsmith.ops.elementwise_math import asinh as asinh
from gradsmith.ops.elementwise_math import atan as atan
from gradsmith.ops.elementwise_math import atanh as atanh
from gradsmith.ops.elementwise_math import cos as cos
from gradsmith.ops.elementwise_math import cosh as cosh
from gradsmith.ops.elementwise_math import erf as erf
from gradsmith.ops.elementwise_math import exp as exp
from gradsmith.ops.elementwise_math import exp2 as exp2
from gradsmith.ops.elementwise_math import expm1 as expm1
from gradsmith.ops.elementwise_math import log as log
from gradsmith.ops.elementwise_math import log1p as log1p
from gradsmith.ops.elementwise_math import log2 as log2
from gradsmith.ops.elementwise_math import log10 as log10
from gradsmith.ops.elementwise_math import reciprocal as reciprocal
from gradsmith.ops.elementwise_math import rsqrt as rsqrt
from gradsmith.ops.elementwise_math import sigmoid as sigmoid
from gradsmith.ops.elementwise_math import sin as sin
from gradsmith.ops.elementwise_math import sinh as sinh
from gradsmith.ops.elementwise_math import sqrt as sqrt
from gradsmith.ops.elementwise_math import square as square
from gradsmith.ops.elementwise_math import tan as tan
from gradsmith.ops.elementwise_math import tanh as tanh
from gradsmith.ops.elementwise_round import abs as abs
from gradsmith.ops.elementwise_round import ceil as ceil
from gradsmith.ops.elementwise_round import clamp as clamp
from gradsmith.ops.elementwise_round import clip as clip
from gradsmith.ops.elementwise_round import floor as floor
from gradsmith.ops.elementwise_round import round as round
from gradsmith.ops.elementwise_round import sign as sign
from gradsmith.ops.elementwise_round import trunc as trunc
from gradsmith.ops.gemm import addmm as addmm
from gradsmith.ops.gemm import baddbmm as baddbmm
from gradsmith.ops.gemm import bmm as bmm
from gradsmith.ops.gemm import dot as dot
from gradsmith.ops.gemm import matmul as matmul
from gradsmith.ops.gemm import mm as mm
from gradsmith.ops.gemm import mv as mv
from gradsmith.ops.gemm import outer as outer
from gradsmith.ops.gemm import tensordot as tensordot
from gradsmith.ops.gemm_einsum import einsum as einsum
from gradsmith.ops.indexing import gather as gather
from gradsmith.ops.indexing import index_add as index_add
from gradsmith.ops.indexing import index_select as index_select
from gradsmith.ops.indexing import masked_fill as masked_fill
from gradsmith.ops.indexing import masked_select as masked_select
from gradsmith.ops.indexing import scatter as scatter
from gradsmith.ops.indexing import scatter_add as scatter_add
from gradsmith.ops.indexing import take as take
from gradsmith.ops.indexing import take_along_dim as take_along_dim
from gradsmith.ops.interchange import from_dlpack as from_dlpack
from gradsmith.ops.joining import cat as cat
from gradsmith.ops.joining import concat as concat
from gradsmith.ops.joining import concatenate as concatenate
from gradsmith.ops.joining import hstack as hstack
from gradsmith.ops.joining import meshgrid as meshgrid
from gradsmith.ops.joining import stack as stack
from gradsmith.ops.joining import vstack as vstack
from gradsmith.ops.linalg import cholesky as cholesky
from gradsmith.ops.linalg import det as det
from gradsmith.ops.linalg import diag as diag
from gradsmith.ops.linalg import diag_embed as diag_embed
from gradsmith.ops.linalg import diagonal as diagonal
from gradsmith.ops.linalg import norm as norm
from gradsmith.ops.linalg import slogdet as slogdet
from gradsmith.ops.linalg import trace as trace
from gradsmith.ops.linalg import tril as tril
from gradsmith.ops.linalg import triu as triu
from gradsmith.ops.methods import bind as _bind
from gradsmith.ops.random import bernoulli as bernoulli
from gradsmith.ops.random import multinomial as multinomial
from gradsmith.ops.random import normal as normal
from gradsmith.ops.random import rand as rand
from gradsmith.ops.random import rand_like as rand_like
from gradsmith.ops.random import randint as randint
from gradsmith.ops.random import randint_like as randint_like
from gradsmith.ops.random import randn as randn
from gradsmith.ops.random import randn_like as randn_like
from gradsmith.ops.random import randperm as randperm
from gradsmith.ops.reduce import all as all
from gradsmith.ops.reduce import amax as amax
from gradsmith.ops.reduce import amin as amin
from gradsmith.ops.reduce import any as any
from gradsmith.ops.reduce import argmax as argmax
from gradsmith.ops.reduce import argmin as argmin
from gradsmith.ops.reduce import count_nonzero as count_nonzero
from gradsmith.ops.reduce import cumprod as cumprod
from gradsmith.ops.reduce import cumsum as cumsum
from gradsmith.ops.reduce import max as max
from gradsmith.ops.reduce import mean as mean
from gradsmith.ops.reduce import min as min
from gradsmith.ops.reduce import prod as prod
from gradsmith.ops.reduce import sum as sum
from gradsmith.ops.reduce_moments import std as std
from gradsmith.ops.reduce_moments import std_mean as std_mean
from gradsmith.ops.reduce_moments import var as var
from gradsmith.ops.reduce_moments import var_mean as var_mean
from gradsmith.ops.reduce_order import argsort as argsort
from gradsmith.ops.reduce_order import bincount as bincount
from gradsmith.ops.reduce_order import median as median
from gradsmith.ops.reduce_order import nonzero as nonzero
from gradsmith.ops.reduce_order import quantile as quantile
from gradsmith.ops.reduce_order import sort as sort
from gradsmith.ops.reduce_order import topk as topk
from gradsmith.ops.reduce_order import unique as unique
from gradsmith.ops.shape import atleast_1d as atleast_1d
from gradsmith.ops.shape import atleast_2d as atleast_2d
from gradsmith.ops.shape import atleast_3d as atleast_3d
from gradsmith.ops.shape import broadcast_tensors as broadcast_tensors
from gradsmith.ops.shape import broadcast_to as broadcast_to
from gradsmith.ops.shape import flatten as flatten
from gradsmith.ops.shape import moveaxis as moveaxis
from gradsmith.ops.shape import movedim as movedim
from gradsmith.ops.shape import permute as permute
from gradsmith.ops.shape import reshape as reshape
from gradsmith.ops.shape import squeeze as squeeze
from gradsmith.ops.shape import swapaxes as swapaxes
from gradsmith.ops.shape import swapdims as swapdims
from gradsmith.ops.shape import t as t
from gradsmith.ops.shape import transpose as transpose
from gradsmith.ops.shape import unflatten as unflatten
from gradsmith.ops.shape import unsqueeze as unsqueeze
from gradsmith.ops.shape_copy import clone as clone
from gradsmith.ops.shape_copy import flip as flip
from gradsmith.ops.shape_copy import repeat_interleave as repeat_interleave
from gradsmith.ops.shape_copy import roll as roll
from gradsmith.ops.shape_copy import rot90 as rot90
from gradsmith.ops.shape_copy import tile as tile
from gradsmith.ops.shape_pieces import chunk as chunk
from gradsmith.ops.shape_pieces import narrow as narrow
from gradsmith.ops.shape_pieces import select as select
from gradsmith.ops.shape_pieces import split as split
from gradsmith.ops.shape_pieces import unbind as unbind
from gradsmith.ops.softmax import log_softmax as log_softmax
from gradsmith.ops.softmax import logsumexp as logsumexp
from gradsmith.ops.softmax import softmax as softmax
from gradsmith.random import Generator as Generator
from gradsmith.random import get_rng_state as get_rng_state
from gradsmith.random import initial_seed as initial_seed
from gradsmith.random import manual_seed as manual_seed
from gradsmith.random import seed as seed
from gradsmith.random import set_rng_state as set_rng_state
from gradsmith.tensor import Tensor as Tensor

_bind()

# These stand on the tensor's methods, so they come after binding them.
from gradsmith import data as data  # noqa: E402
from gradsmith import metrics as metrics  # noqa: E402
from gradsmith import nn as nn  # noqa: E402
from gradsmith import optim as optim  # noqa: E402
from gradsmith import train as train  # noqa: E402
from gradsmith.io import load as load  # noqa: E402
from gradsmith.io import save as save  # noqa: E402

device = _backend.Device
bool = _backend.bool_
float = _backend.float32
double = _backend.float64
int = _backend.int32
long = _backend.int64

if TYPE_CHECKING:
    from gradsmith import cli as cli
    from gradsmith import models as models
    from gradsmith import recipes as recipes

# Imported when first used, so that importing gradsmith stays quick.
_LAZY_MODULES = frozenset({"cli", "models", "recipes"})


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return _importlib.import_module(f"gradsmith.{name}")
    raise AttributeError(f"module 'gradsmith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES})
