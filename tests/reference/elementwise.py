# SPDX-License-Identifier: Apache-2.0
"""Elementwise ops of one, two and three operands, comparisons and selection.

Unary ops are pairs ``f(x)``, ``f_backward(dy, x)``. Binary ops broadcast; their backward reduces
each gradient to the shape of its operand. Comparisons and logical ops give bool and no gradient.
Sources: Abramowitz & Stegun ch. 4 and 7 for the functions; Clevert 2015 (ELU), Klambauer 2017
(SELU), Barron 2017 (CELU), Hendrycks 2016 (GELU), Elfwing 2017 (SiLU), Misra 2019 (Mish),
Howard 2019 (hardswish). Formulas are arranged so that large |x| neither overflows nor cancels.
"""

import math

import numpy as np

from . import Array, Mask

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def sum_to(dy: Array, shape: tuple[int, ...]) -> Array:
    """Reverse of broadcasting: sums dy over the axes along which `shape` was stretched."""
    dy = np.asarray(dy)
    dy = dy.sum(axis=tuple(range(dy.ndim - len(shape))))
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return np.asarray(dy.sum(axis=stretched, keepdims=True))


# Unary ops that NumPy or math defines under this or another name.
neg = np.negative
abs = np.absolute
exp = np.exp
exp2 = np.exp2
expm1 = np.expm1
log = np.log
log2 = np.log2
log10 = np.log10
log1p = np.log1p
sqrt = np.sqrt
square = np.square
sin = np.sin
cos = np.cos
tan = np.tan
asin = np.arcsin
acos = np.arccos
atan = np.arctan
sinh = np.sinh
cosh = np.cosh
tanh = np.tanh
asinh = np.arcsinh
acosh = np.arccosh
atanh = np.arctanh
floor = np.floor
ceil = np.ceil
round = np.rint  # halves go to even
trunc = np.trunc
erf = np.vectorize(math.erf, otypes=[np.float64])
erfc = np.vectorize(math.erfc, otypes=[np.float64])


def neg_backward(dy: Array, x: Array) -> Array:
    return -dy


def abs_backward(dy: Array, x: Array) -> Array:
    return dy * sign(x)


def sign(x: Array) -> Array:
    return np.where(x > 0, 1.0, np.where(x < 0, -1.0, 0.0))  # 0 for NaN, as in PyTorch


def exp_backward(dy: Array, x: Array) -> Array:
    return dy * np.exp(x)


def exp2_backward(dy: Array, x: Array) -> Array:
    return dy * math.log(2) * np.exp2(x)


def expm1_backward(dy: Array, x: Array) -> Array:
    return dy * np.exp(x)


def log_backward(dy: Array, x: Array) -> Array:
    return dy / x


def log2_backward(dy: Array, x: Array) -> Array:
    return dy / (x * math.log(2))


def log10_backward(dy: Array, x: Array) -> Array:
    return dy / (x * math.log(10))


def log1p_backward(dy: Array, x: Array) -> Array:
    return dy / (1 + x)


def sqrt_backward(dy: Array, x: Array) -> Array:
    return dy / (2 * np.sqrt(x))


def rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


def rsqrt_backward(dy: Array, x: Array) -> Array:
    return -0.5 * dy * rsqrt(x) ** 3


def reciprocal(x: Array) -> Array:
    return 1 / x


def reciprocal_backward(dy: Array, x: Array) -> Array:
    return -dy / x**2


def square_backward(dy: Array, x: Array) -> Array:
    return dy * 2 * x


def sin_backward(dy: Array, x: Array) -> Array:
    return dy * np.cos(x)


def cos_backward(dy: Array, x: Array) -> Array:
    return -dy * np.sin(x)


def tan_backward(dy: Array, x: Array) -> Array:
    return dy * (1 + np.tan(x) ** 2)


def asin_backward(dy: Array, x: Array) -> Array:
    return dy / np.sqrt(1 - x**2)


def acos_backward(dy: Array, x: Array) -> Array:
    return -dy / np.sqrt(1 - x**2)


def atan_backward(dy: Array, x: Array) -> Array:
    return dy / (1 + x**2)


def sinh_backward(dy: Array, x: Array) -> Array:
    return dy * np.cosh(x)


def cosh_backward(dy: Array, x: Array) -> Array:
    return dy * np.sinh(x)


def tanh_backward(dy: Array, x: Array) -> Array:
    return dy * (1 - np.tanh(x) ** 2)


def asinh_backward(dy: Array, x: Array) -> Array:
    return dy / np.sqrt(x**2 + 1)


def acosh_backward(dy: Array, x: Array) -> Array:
    return dy / np.sqrt(x**2 - 1)


def atanh_backward(dy: Array, x: Array) -> Array:
    return dy / (1 - x**2)


def erf_backward(dy: Array, x: Array) -> Array:
    return dy * 2 / math.sqrt(math.pi) * np.exp(-(x**2))


def zero_backward(dy: Array, x: Array) -> Array:
    """Gradient of every piecewise constant op."""
    return np.zeros_like(dy)


sign_backward = zero_backward
floor_backward = zero_backward
ceil_backward = zero_backward
round_backward = zero_backward
trunc_backward = zero_backward


def sigmoid(x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


def sigmoid_backward(dy: Array, x: Array) -> Array:
    return dy * sigmoid(x) * sigmoid(-x)


def log_sigmoid(x: Array) -> Array:
    return -np.logaddexp(0, -x)


def log_sigmoid_backward(dy: Array, x: Array) -> Array:
    return dy * sigmoid(-x)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def relu_backward(dy: Array, x: Array) -> Array:
    return np.where(x <= 0, 0, dy)


def relu6(x: Array) -> Array:
    return hardtanh(x, 0, 6)


def relu6_backward(dy: Array, x: Array) -> Array:
    return hardtanh_backward(dy, x, 0, 6)


def hardtanh(x: Array, lo: float = -1.0, hi: float = 1.0) -> Array:
    return np.minimum(np.maximum(x, lo), hi)


def hardtanh_backward(dy: Array, x: Array, lo: float = -1.0, hi: float = 1.0) -> Array:
    return np.where((x <= lo) | (x >= hi), 0, dy)


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    return np.where(x > 0, x, slope * x)


def leaky_relu_backward(dy: Array, x: Array, slope: float = 0.01) -> Array:
    return np.where(x > 0, dy, slope * dy)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    return np.where(x <= 0, dy * alpha * np.exp(np.minimum(x, 0)), dy)


def selu(x: Array) -> Array:
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_backward(dy: Array, x: Array) -> Array:
    return SELU_SCALE * elu_backward(dy, x, SELU_ALPHA)


def celu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def celu_backward(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    return np.where(x <= 0, dy * np.exp(np.minimum(x, 0) / alpha), dy)


def gelu(x: Array) -> Array:
    """x Phi(x), Phi the normal distribution: (1 + erf(x / sqrt 2)) / 2 = erfc(-x / sqrt 2) / 2."""
    return x * 0.5 * erfc(-x / math.sqrt(2))


def gelu_backward(dy: Array, x: Array) -> Array:
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return dy * (0.5 * erfc(-x / math.sqrt(2)) + x * density)


def gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_tanh_backward(dy: Array, x: Array) -> Array:
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    inner_slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * inner_slope)


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def silu_backward(dy: Array, x: Array) -> Array:
    return dy * sigmoid(x) * (1 + x * sigmoid(-x))


def mish(x: Array) -> Array:
    return x * np.tanh(np.logaddexp(0, x))


def mish_backward(dy: Array, x: Array) -> Array:
    t = np.tanh(np.logaddexp(0, x))
    return dy * (t + x * (1 - t**2) * sigmoid(x))


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def softplus_backward(dy: Array, x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    return np.where(beta * x > threshold, dy, dy * sigmoid(beta * x))


def softsign(x: Array) -> Array:
    return x / (1 + np.abs(x))


def softsign_backward(dy: Array, x: Array) -> Array:
    return dy / (1 + np.abs(x)) ** 2


def hardsigmoid(x: Array) -> Array:
    return hardtanh(x + 3, 0, 6) / 6


def hardsigmoid_backward(dy: Array, x: Array) -> Array:
    return np.where((x > -3) & (x < 3), dy / 6, 0)


def hardswish(x: Array) -> Array:
    return x * hardsigmoid(x)


def hardswish_backward(dy: Array, x: Array) -> Array:
    return np.where(x <= -3, 0, np.where(x < 3, dy * (x / 3 + 0.5), dy))


# Binary ops. NumPy's remainder takes the sign of the divisor, fmod that of the dividend.
add = np.add
sub = np.subtract
mul = np.multiply
div = np.divide
pow = np.power
maximum = np.maximum
minimum = np.minimum
fmod = np.fmod
remainder = np.remainder
floor_divide = np.floor_divide
atan2 = np.arctan2
eq = np.equal
ne = np.not_equal
lt = np.less
le = np.less_equal
gt = np.greater
ge = np.greater_equal
logical_and = np.logical_and
logical_or = np.logical_or
logical_xor = np.logical_xor
logical_not = np.logical_not


def _reduced(da: Array, db: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return sum_to(da, np.shape(a)), sum_to(db, np.shape(b))


def add_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(dy, dy, a, b)


def sub_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(dy, -dy, a, b)


def mul_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(dy * b, dy * a, a, b)


def div_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(dy / b, -dy * (a / b) / b, a, b)


def pow_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """d a^b = b a^(b-1) da + a^b ln(a) db, with 0 for da where b = 0, for db where a = 0 <= b."""
    a_is_zero = (a == 0) & (b >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # db is NaN where a < 0
        da = dy * np.where(b == 0, 0, b * np.power(a, np.where(b == 0, 1, b - 1)))
        db = dy * np.where(a_is_zero, 0, np.power(a, b) * np.log(np.where(a_is_zero, 1, a)))
    return _reduced(da, db, a, b)


def maximum_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """A tie halves the gradient; beside a NaN both operands get all of it."""
    tie = a == b
    return _reduced(dy * np.where(tie, 0.5, ~(a < b)), dy * np.where(tie, 0.5, ~(b < a)), a, b)


def minimum_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    tie = a == b
    return _reduced(dy * np.where(tie, 0.5, ~(a > b)), dy * np.where(tie, 0.5, ~(b > a)), a, b)


def fmod_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(dy, -dy * np.trunc(a / b), a, b)


def remainder_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(dy, -dy * np.floor_divide(a, b), a, b)


def floor_divide_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(np.zeros_like(dy), np.zeros_like(dy), a, b)


def atan2_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(dy * b / (a**2 + b**2), -dy * a / (a**2 + b**2), a, b)


where = np.where


def where_backward(dy: Array, cond: Mask, a: Array, b: Array) -> tuple[Array, Array]:
    return _reduced(np.where(cond, dy, 0), np.where(cond, 0, dy), a, b)


def clamp(x: Array, lo: float | None = None, hi: float | None = None) -> Array:
    """min(max(x, lo), hi); None is no bound, and `hi` wins where lo > hi."""
    y = x if lo is None else np.maximum(x, lo)
    return y if hi is None else np.minimum(y, hi)


def clamp_backward(dy: Array, x: Array, lo: float | None = None, hi: float | None = None) -> Array:
    """Unlike hardtanh, a value that equals a bound passes its gradient."""
    inside = np.ones(x.shape, bool) if lo is None else x >= lo
    inside = inside if hi is None else inside & (x <= hi)
    return np.where(inside, dy, 0)


def lerp(a: Array, b: Array, weight: Array) -> Array:
    return a + weight * (b - a)


def lerp_backward(dy: Array, a: Array, b: Array, weight: Array) -> tuple[Array, Array, Array]:
    da, db = _reduced(dy * (1 - weight), dy * weight, a, b)
    return da, db, sum_to(dy * (b - a), np.shape(weight))


def addcmul(x: Array, a: Array, b: Array, value: float = 1.0) -> Array:
    return x + value * a * b


def addcmul_backward(
    dy: Array, x: Array, a: Array, b: Array, value: float = 1.0
) -> tuple[Array, Array, Array]:
    return sum_to(dy, x.shape), *_reduced(value * dy * b, value * dy * a, a, b)


def addcdiv(x: Array, a: Array, b: Array, value: float = 1.0) -> Array:
    return x + value * a / b


def addcdiv_backward(
    dy: Array, x: Array, a: Array, b: Array, value: float = 1.0
) -> tuple[Array, Array, Array]:
    return sum_to(dy, x.shape), *_reduced(value * dy / b, -value * dy * a / b**2, a, b)
