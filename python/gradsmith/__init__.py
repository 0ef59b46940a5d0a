# SPDX-License-Identifier: Apache-2.0
"""gradsmith: deep learning on kernels written by hand.

>>> import gradsmith as gs
>>> x = gs.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

import importlib as _importlib
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi
from typing import TYPE_CHECKING, Any

from gradsmith import autograd as autograd
from gradsmith import backend as _backend
from gradsmith import cuda as cuda
from gradsmith import cudasim as cudasim
from gradsmith import memory as memory
from gradsmith import random as random
from gradsmith.autograd import enable_grad as enable_grad
from gradsmith.autograd import inference_mode as inference_mode
from gradsmith.autograd import is_grad_enabled as is_grad_enabled
from gradsmith.autograd import no_grad as no_grad
from gradsmith.autograd import set_grad_enabled as set_grad_enabled
from gradsmith.backend import Device as Device
from gradsmith.backend import bfloat16 as bfloat16
from gradsmith.backend import float16 as float16
from gradsmith.backend import float32 as float32
from gradsmith.backend import float64 as float64
from gradsmith.backend import get_default_dtype as get_default_dtype
from gradsmith.backend import int32 as int32
from gradsmith.backend import int64 as int64
from gradsmith.backend import set_default_dtype as set_default_dtype
from gradsmith.backend import uint8 as uint8
from gradsmith.config import get_float32_matmul_precision as get_float32_matmul_precision
from gradsmith.config import get_num_threads as get_num_threads
from gradsmith.config import set_float32_matmul_precision as set_float32_matmul_precision
from gradsmith.config import set_num_threads as set_num_threads
from gradsmith.config import show_config as show_config
from gradsmith.formatting import set_printoptions as set_printoptions
from gradsmith.ops import linalg as linalg
from gradsmith.ops import special as special
from gradsmith.ops.creation import arange as arange
from gradsmith.ops.creation import as_tensor as as_tensor
from gradsmith.ops.creation import empty as empty
from gradsmith.ops.creation import empty_like as empty_like
from gradsmith.ops.creation import eye as eye
from gradsmith.ops.creation import from_numpy as from_numpy
from gradsmith.ops.creation import full as full
from gradsmith.ops.creation import full_like as full_like
from gradsmith.ops.creation import linspace as linspace
from gradsmith.ops.creation import logspace as logspace
from gradsmith.ops.creation import ones as ones
from gradsmith.ops.creation import ones_like as ones_like
from gradsmith.ops.creation import tensor as tensor
from gradsmith.ops.creation import tril_indices as tril_indices
from gradsmith.ops.creation import triu_indices as triu_indices
from gradsmith.ops.creation import zeros as zeros
from gradsmith.ops.creation import zeros_like as zeros_like
from gradsmith.ops.creation_queries import asarray as asarray
from gradsmith.ops.creation_queries import get_device as get_device
from gradsmith.ops.creation_queries import is_complex as is_complex
from gradsmith.ops.creation_queries import is_floating_point as is_floating_point
from gradsmith.ops.creation_queries import is_nonzero as is_nonzero
from gradsmith.ops.creation_queries import is_same_size as is_same_size
from gradsmith.ops.creation_queries import is_signed as is_signed
from gradsmith.ops.creation_queries import is_tensor as is_tensor
from gradsmith.ops.creation_queries import numel as numel
from gradsmith.ops.creation_windows import bartlett_window as bartlett_window
from gradsmith.ops.creation_windows import blackman_window as blackman_window
from gradsmith.ops.creation_windows import hamming_window as hamming_window
from gradsmith.ops.creation_windows import hann_window as hann_window
from gradsmith.ops.creation_windows import kaiser_window as kaiser_window
from gradsmith.ops.diagonal import diag as diag
from gradsmith.ops.diagonal import diag_embed as diag_embed
from gradsmith.ops.diagonal import diagflat as diagflat
from gradsmith.ops.diagonal import diagonal as diagonal
from gradsmith.ops.diagonal import diagonal_scatter as diagonal_scatter
from gradsmith.ops.diagonal import trace as trace
from gradsmith.ops.diagonal import tril as tril
from gradsmith.ops.diagonal import triu as triu
from gradsmith.ops.distance import cdist as cdist
from gradsmith.ops.distance import cosine_similarity as cosine_similarity
from gradsmith.ops.distance import dist as dist
from gradsmith.ops.distance import pairwise_distance as pairwise_distance
from gradsmith.ops.distance import pdist as pdist
from gradsmith.ops.elementwise import add as add
from gradsmith.ops.elementwise import arctan2 as arctan2
from gradsmith.ops.elementwise import atan2 as atan2
from gradsmith.ops.elementwise import div as div
from gradsmith.ops.elementwise import divide as divide
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
from gradsmith.ops.elementwise import multiply as multiply
from gradsmith.ops.elementwise import ne as ne
from gradsmith.ops.elementwise import neg as neg
from gradsmith.ops.elementwise import negative as negative
from gradsmith.ops.elementwise import pow as pow
from gradsmith.ops.elementwise import remainder as remainder
from gradsmith.ops.elementwise import rsub as rsub
from gradsmith.ops.elementwise import sub as sub
from gradsmith.ops.elementwise import subtract as subtract
from gradsmith.ops.elementwise import true_divide as true_divide
from gradsmith.ops.elementwise import where as where
from gradsmith.ops.elementwise_activation import celu as celu
from gradsmith.ops.elementwise_activation import relu as relu
from gradsmith.ops.elementwise_activation import selu as selu
from gradsmith.ops.elementwise_activation import threshold as threshold
from gradsmith.ops.elementwise_bessel import i0 as i0
from gradsmith.ops.elementwise_combine import addcdiv as addcdiv
from gradsmith.ops.elementwise_combine import addcmul as addcmul
from gradsmith.ops.elementwise_combine import allclose as allclose
from gradsmith.ops.elementwise_combine import equal as equal
from gradsmith.ops.elementwise_combine import float_power as float_power
from gradsmith.ops.elementwise_combine import fmax as fmax
from gradsmith.ops.elementwise_combine import fmin as fmin
from gradsmith.ops.elementwise_combine import heaviside as heaviside
from gradsmith.ops.elementwise_combine import hypot as hypot
from gradsmith.ops.elementwise_combine import isclose as isclose
from gradsmith.ops.elementwise_combine import lerp as lerp
from gradsmith.ops.elementwise_combine import logaddexp as logaddexp
from gradsmith.ops.elementwise_combine import logaddexp2 as logaddexp2
from gradsmith.ops.elementwise_combine import nan_to_num as nan_to_num
from gradsmith.ops.elementwise_compare import bitwise_and as bitwise_and
from gradsmith.ops.elementwise_compare import bitwise_left_shift as bitwise_left_shift
from gradsmith.ops.elementwise_compare import bitwise_or as bitwise_or
from gradsmith.ops.elementwise_compare import bitwise_right_shift as bitwise_right_shift
from gradsmith.ops.elementwise_compare import bitwise_xor as bitwise_xor
from gradsmith.ops.elementwise_compare import gcd as gcd
from gradsmith.ops.elementwise_compare import greater as greater
from gradsmith.ops.elementwise_compare import greater_equal as greater_equal
from gradsmith.ops.elementwise_compare import isneginf as isneginf
from gradsmith.ops.elementwise_compare import isposinf as isposinf
from gradsmith.ops.elementwise_compare import isreal as isreal
from gradsmith.ops.elementwise_compare import less as less
from gradsmith.ops.elementwise_compare import less_equal as less_equal
from gradsmith.ops.elementwise_compare import not_equal as not_equal
from gradsmith.ops.elementwise_gates import prelu as prelu
from gradsmith.ops.elementwise_math import acos as acos
from gradsmith.ops.elementwise_math import acosh as acosh
from gradsmith.ops.elementwise_math import arccos as arccos
from gradsmith.ops.elementwise_math import arccosh as arccosh
from gradsmith.ops.elementwise_math import arcsin as arcsin
from gradsmith.ops.elementwise_math import arcsinh as arcsinh
from gradsmith.ops.elementwise_math import arctan as arctan
from gradsmith.ops.elementwise_math import arctanh as arctanh
from gradsmith.ops.elementwise_math import asin as asin
from gradsmith.ops.elementwise_math import asinh as asinh
from gradsmith.ops.elementwise_math import atan as atan
from gradsmith.ops.elementwise_math import atanh as atanh
from gradsmith.ops.elementwise_math import cos as cos
from gradsmith.ops.elementwise_math import cosh as cosh
from gradsmith.ops.elementwise_math import deg2rad as deg2rad
from gradsmith.ops.elementwise_math import erf as erf
from gradsmith.ops.elementwise_math import exp as exp
from gradsmith.ops.elementwise_math import exp2 as exp2
from gradsmith.ops.elementwise_math import expm1 as expm1
from gradsmith.ops.elementwise_math import log as log
from gradsmith.ops.elementwise_math import log1p as log1p
from gradsmith.ops.elementwise_math import log2 as log2
from gradsmith.ops.elementwise_math import log10 as log10
from gradsmith.ops.elementwise_math import rad2deg as rad2deg
from gradsmith.ops.elementwise_math import reciprocal as reciprocal
from gradsmith.ops.elementwise_math import rsqrt as rsqrt
from gradsmith.ops.elementwise_math import sigmoid as sigmoid
from gradsmith.ops.elementwise_math import sin as sin
from gradsmith.ops.elementwise_math import sinh as sinh
from gradsmith.ops.elementwise_math import sqrt as sqrt
from gradsmith.ops.elementwise_math import square as square
from gradsmith.ops.elementwise_math import tan as tan
from gradsmith.ops.elementwise_math import tanh as tanh
from gradsmith.ops.elementwise_parts import bitwise_not as bitwise_not
from gradsmith.ops.elementwise_parts import copysign as copysign
from gradsmith.ops.elementwise_parts import frexp as frexp
from gradsmith.ops.elementwise_parts import lcm as lcm
from gradsmith.ops.elementwise_parts import ldexp as ldexp
from gradsmith.ops.elementwise_parts import nextafter as nextafter
from gradsmith.ops.elementwise_parts import signbit as signbit
from gradsmith.ops.elementwise_round import abs as abs
from gradsmith.ops.elementwise_round import absolute as absolute
from gradsmith.ops.elementwise_round import ceil as ceil
from gradsmith.ops.elementwise_round import clamp as clamp
from gradsmith.ops.elementwise_round import clamp_max as clamp_max
from gradsmith.ops.elementwise_round import clamp_min as clamp_min
from gradsmith.ops.elementwise_round import clip as clip
from gradsmith.ops.elementwise_round import fix as fix
from gradsmith.ops.elementwise_round import floor as floor
from gradsmith.ops.elementwise_round import frac as frac
from gradsmith.ops.elementwise_round import positive as positive
from gradsmith.ops.elementwise_round import round as round
from gradsmith.ops.elementwise_round import sgn as sgn
from gradsmith.ops.elementwise_round import sign as sign
from gradsmith.ops.elementwise_round import trunc as trunc
from gradsmith.ops.elementwise_special import digamma as digamma
from gradsmith.ops.elementwise_special import erfc as erfc
from gradsmith.ops.elementwise_special import erfinv as erfinv
from gradsmith.ops.elementwise_special import igamma as igamma
from gradsmith.ops.elementwise_special import igammac as igammac
from gradsmith.ops.elementwise_special import lgamma as lgamma
from gradsmith.ops.elementwise_special import logit as logit
from gradsmith.ops.elementwise_special import mvlgamma as mvlgamma
from gradsmith.ops.elementwise_special import polygamma as polygamma
from gradsmith.ops.elementwise_special import sinc as sinc
from gradsmith.ops.elementwise_special import xlogy as xlogy
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
from gradsmith.ops.gemm_products import addbmm as addbmm
from gradsmith.ops.gemm_products import addmv as addmv
from gradsmith.ops.gemm_products import addr as addr
from gradsmith.ops.gemm_products import chain_matmul as chain_matmul
from gradsmith.ops.gemm_products import cross as cross
from gradsmith.ops.gemm_products import ger as ger
from gradsmith.ops.gemm_products import inner as inner
from gradsmith.ops.gemm_products import kron as kron
from gradsmith.ops.gemm_products import vdot as vdot
from gradsmith.ops.indexing import gather as gather
from gradsmith.ops.indexing import index_add as index_add
from gradsmith.ops.indexing import index_select as index_select
from gradsmith.ops.indexing import scatter as scatter
from gradsmith.ops.indexing import scatter_add as scatter_add
from gradsmith.ops.indexing import take as take
from gradsmith.ops.indexing import take_along_dim as take_along_dim
from gradsmith.ops.indexing import unravel_index as unravel_index
from gradsmith.ops.indexing_mask import masked_fill as masked_fill
from gradsmith.ops.indexing_mask import masked_scatter as masked_scatter
from gradsmith.ops.indexing_mask import masked_select as masked_select
from gradsmith.ops.indexing_reduce import index_reduce as index_reduce
from gradsmith.ops.indexing_reduce import scatter_reduce as scatter_reduce
from gradsmith.ops.indexing_write import index_copy as index_copy
from gradsmith.ops.indexing_write import index_fill as index_fill
from gradsmith.ops.indexing_write import index_put as index_put
from gradsmith.ops.indexing_write import put as put
from gradsmith.ops.indexing_write import select_scatter as select_scatter
from gradsmith.ops.indexing_write import slice_scatter as slice_scatter
from gradsmith.ops.interchange import from_dlpack as from_dlpack
from gradsmith.ops.joining import block_diag as block_diag
from gradsmith.ops.joining import cartesian_prod as cartesian_prod
from gradsmith.ops.joining import cat as cat
from gradsmith.ops.joining import column_stack as column_stack
from gradsmith.ops.joining import combinations as combinations
from gradsmith.ops.joining import concat as concat
from gradsmith.ops.joining import concatenate as concatenate
from gradsmith.ops.joining import dstack as dstack
from gradsmith.ops.joining import hstack as hstack
from gradsmith.ops.joining import meshgrid as meshgrid
from gradsmith.ops.joining import row_stack as row_stack
from gradsmith.ops.joining import stack as stack
from gradsmith.ops.joining import vstack as vstack
from gradsmith.ops.linalg_factor import cholesky as cholesky
from gradsmith.ops.linalg_lowrank import pca_lowrank as pca_lowrank
from gradsmith.ops.linalg_lowrank import svd_lowrank as svd_lowrank
from gradsmith.ops.linalg_lu import lu_unpack as lu_unpack
from gradsmith.ops.linalg_older import inverse as inverse
from gradsmith.ops.linalg_older import lu as lu
from gradsmith.ops.linalg_older import lu_solve as lu_solve
from gradsmith.ops.linalg_older import norm as norm
from gradsmith.ops.linalg_older import pinverse as pinverse
from gradsmith.ops.linalg_older import qr as qr
from gradsmith.ops.linalg_older import svd as svd
from gradsmith.ops.linalg_power import matrix_exp as matrix_exp
from gradsmith.ops.linalg_power import matrix_power as matrix_power
from gradsmith.ops.linalg_power import vander as vander
from gradsmith.ops.linalg_solve import cholesky_inverse as cholesky_inverse
from gradsmith.ops.linalg_solve import cholesky_solve as cholesky_solve
from gradsmith.ops.linalg_solve import det as det
from gradsmith.ops.linalg_solve import logdet as logdet
from gradsmith.ops.linalg_solve import slogdet as slogdet
from gradsmith.ops.methods import bind as _bind
from gradsmith.ops.promotion import can_cast as can_cast
from gradsmith.ops.promotion import finfo as finfo
from gradsmith.ops.promotion import iinfo as iinfo
from gradsmith.ops.promotion import promote_types as promote_types
from gradsmith.ops.promotion import result_type as result_type
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
from gradsmith.ops.random_distributions import poisson as poisson
from gradsmith.ops.reduce import all as all
from gradsmith.ops.reduce import amax as amax
from gradsmith.ops.reduce import amin as amin
from gradsmith.ops.reduce import aminmax as aminmax
from gradsmith.ops.reduce import any as any
from gradsmith.ops.reduce import argmax as argmax
from gradsmith.ops.reduce import argmin as argmin
from gradsmith.ops.reduce import count_nonzero as count_nonzero
from gradsmith.ops.reduce import cumprod as cumprod
from gradsmith.ops.reduce import cumsum as cumsum
from gradsmith.ops.reduce import max as max
from gradsmith.ops.reduce import mean as mean
from gradsmith.ops.reduce import min as min
from gradsmith.ops.reduce import nanmean as nanmean
from gradsmith.ops.reduce import nansum as nansum
from gradsmith.ops.reduce import prod as prod
from gradsmith.ops.reduce import sum as sum
from gradsmith.ops.reduce_moments import std as std
from gradsmith.ops.reduce_moments import std_mean as std_mean
from gradsmith.ops.reduce_moments import var as var
from gradsmith.ops.reduce_moments import var_mean as var_mean
from gradsmith.ops.reduce_scan import cummax as cummax
from gradsmith.ops.reduce_scan import cummin as cummin
from gradsmith.ops.reduce_scan import cumulative_trapezoid as cumulative_trapezoid
from gradsmith.ops.reduce_scan import diff as diff
from gradsmith.ops.reduce_scan import gradient as gradient
from gradsmith.ops.reduce_scan import logcumsumexp as logcumsumexp
from gradsmith.ops.reduce_scan import trapezoid as trapezoid
from gradsmith.ops.reduce_scan import trapz as trapz
from gradsmith.ops.shape import adjoint as adjoint
from gradsmith.ops.shape import atleast_1d as atleast_1d
from gradsmith.ops.shape import atleast_2d as atleast_2d
from gradsmith.ops.shape import atleast_3d as atleast_3d
from gradsmith.ops.shape import broadcast_shapes as broadcast_shapes
from gradsmith.ops.shape import broadcast_tensors as broadcast_tensors
from gradsmith.ops.shape import broadcast_to as broadcast_to
from gradsmith.ops.shape import flatten as flatten
from gradsmith.ops.shape import moveaxis as moveaxis
from gradsmith.ops.shape import movedim as movedim
from gradsmith.ops.shape import permute as permute
from gradsmith.ops.shape import ravel as ravel
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
from gradsmith.ops.shape_copy import fliplr as fliplr
from gradsmith.ops.shape_copy import flipud as flipud
from gradsmith.ops.shape_copy import repeat_interleave as repeat_interleave
from gradsmith.ops.shape_copy import roll as roll
from gradsmith.ops.shape_copy import rot90 as rot90
from gradsmith.ops.shape_copy import tile as tile
from gradsmith.ops.shape_pieces import chunk as chunk
from gradsmith.ops.shape_pieces import dsplit as dsplit
from gradsmith.ops.shape_pieces import hsplit as hsplit
from gradsmith.ops.shape_pieces import narrow as narrow
from gradsmith.ops.shape_pieces import select as select
from gradsmith.ops.shape_pieces import split as split
from gradsmith.ops.shape_pieces import tensor_split as tensor_split
from gradsmith.ops.shape_pieces import unbind as unbind
from gradsmith.ops.shape_pieces import vsplit as vsplit
from gradsmith.ops.shape_shuffle import channel_shuffle as channel_shuffle
from gradsmith.ops.shape_shuffle import pixel_shuffle as pixel_shuffle
from gradsmith.ops.shape_shuffle import pixel_unshuffle as pixel_unshuffle
from gradsmith.ops.shape_strided import as_strided as as_strided
from gradsmith.ops.softmax import log_softmax as log_softmax
from gradsmith.ops.softmax import logsumexp as logsumexp
from gradsmith.ops.softmax import softmax as softmax
from gradsmith.ops.sorting import argsort as argsort
from gradsmith.ops.sorting import kthvalue as kthvalue
from gradsmith.ops.sorting import median as median
from gradsmith.ops.sorting import mode as mode
from gradsmith.ops.sorting import msort as msort
from gradsmith.ops.sorting import nanmedian as nanmedian
from gradsmith.ops.sorting import sort as sort
from gradsmith.ops.sorting import topk as topk
from gradsmith.ops.sorting_counts import bincount as bincount
from gradsmith.ops.sorting_counts import histc as histc
from gradsmith.ops.sorting_counts import histogram as histogram
from gradsmith.ops.sorting_quantile import nanquantile as nanquantile
from gradsmith.ops.sorting_quantile import quantile as quantile
from gradsmith.ops.sorting_search import argwhere as argwhere
from gradsmith.ops.sorting_search import bucketize as bucketize
from gradsmith.ops.sorting_search import isin as isin
from gradsmith.ops.sorting_search import nonzero as nonzero
from gradsmith.ops.sorting_search import searchsorted as searchsorted
from gradsmith.ops.sorting_search import unique as unique
from gradsmith.ops.sorting_search import unique_consecutive as unique_consecutive
from gradsmith.ops.statistics import corrcoef as corrcoef
from gradsmith.ops.statistics import cov as cov
from gradsmith.ops.statistics import renorm as renorm
from gradsmith.random import Generator as Generator
from gradsmith.random import get_rng_state as get_rng_state
from gradsmith.random import initial_seed as initial_seed
from gradsmith.random import manual_seed as manual_seed
from gradsmith.random import seed as seed
from gradsmith.random import set_rng_state as set_rng_state
from gradsmith.tensor import Tensor as Tensor

_bind()

# These stand on the tensor's methods, so they come after binding them.
from gradsmith import amp as amp  # noqa: E402
from gradsmith import data as data  # noqa: E402
from gradsmith import metrics as metrics  # noqa: E402
from gradsmith import nn as nn  # noqa: E402
from gradsmith import optim as optim  # noqa: E402
from gradsmith import train as train  # noqa: E402
from gradsmith.amp import autocast as autocast  # noqa: E402
from gradsmith.io import load as load  # noqa: E402
from gradsmith.io import save as save  # noqa: E402
from gradsmith.train import doctor as doctor  # noqa: E402

__version__ = "0.1.0"
newaxis = None  # in brackets, a new dimension of size 1

device = _backend.Device
bool = _backend.bool_
float = _backend.float32
double = _backend.float64
half = _backend.float16
int = _backend.int32
long = _backend.int64

if TYPE_CHECKING:
    from gradsmith import cli as cli
    from gradsmith import images as images
    from gradsmith import models as models
    from gradsmith import recipes as recipes
    from gradsmith import text as text
    from gradsmith import viz as viz

# Imported when first used, so that importing gradsmith stays quick.
_LAZY_MODULES = frozenset({"cli", "images", "models", "recipes", "text", "viz"})


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return _importlib.import_module(f"gradsmith.{name}")
    raise AttributeError(f"module 'gradsmith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES})
