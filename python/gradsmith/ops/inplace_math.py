# SPDX-License-Identifier: Apache-2.0
"""Functions applied in place: each is the function of its name without the underscore."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gradsmith.backend import EXTENSIONS
from gradsmith.ops import (
    diagonal,
    elementwise,
    elementwise_activation,
    elementwise_bessel,
    elementwise_combine,
    elementwise_compare,
    elementwise_math,
    elementwise_parts,
    elementwise_round,
    elementwise_special,
    reduce,
    statistics,
)
from gradsmith.ops.inplace import change
from gradsmith.ops.options import names_errors
from gradsmith.tensor import Tensor, array_of


def in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the function that writes the result of another one over its first argument."""
    kernel = function.__name__
    op = f"{kernel}_"
    signature = inspect.signature(function)
    kept = [each for each in signature.parameters.values() if each.name != "inplace"]
    signature = signature.replace(parameters=kept)

    def apply(*args: Any, **kwargs: Any) -> Tensor:
        options = signature.bind(*args, **kwargs).arguments
        input = options.pop(kept[0].name)
        extension = EXTENSIONS[type(array_of(op, input))]

        def call(x: Tensor, *given: Any) -> Tensor:
            return function(x, **dict(zip(options, given, strict=True)))

        if len(kept) > 1 or not hasattr(extension, kernel):
            return change(op, input, tuple(options.values()), call)
        run = getattr(extension, kernel)
        return change(op, input, (), call, lambda array: run(array, 0.0, 0.0, array))

    apply.__name__ = apply.__qualname__ = op
    apply.__doc__ = f"Apply `{kernel}` in place."
    apply.__signature__ = signature  # type: ignore[attr-defined]
    return names_errors(apply)


neg_ = negative_ = in_place(elementwise.neg)
floor_divide_ = in_place(elementwise.floor_divide)
remainder_ = in_place(elementwise.remainder)
fmod_ = in_place(elementwise.fmod)
atan2_ = arctan2_ = in_place(elementwise.atan2)
logical_and_ = in_place(elementwise.logical_and)
logical_or_ = in_place(elementwise.logical_or)
logical_xor_ = in_place(elementwise.logical_xor)
logical_not_ = in_place(elementwise.logical_not)

bitwise_and_ = in_place(elementwise_compare.bitwise_and)
bitwise_or_ = in_place(elementwise_compare.bitwise_or)
bitwise_xor_ = in_place(elementwise_compare.bitwise_xor)
bitwise_left_shift_ = in_place(elementwise_compare.bitwise_left_shift)
bitwise_right_shift_ = in_place(elementwise_compare.bitwise_right_shift)
gcd_ = in_place(elementwise_compare.gcd)

exp_ = in_place(elementwise_math.exp)
exp2_ = in_place(elementwise_math.exp2)
expm1_ = in_place(elementwise_math.expm1)
log_ = in_place(elementwise_math.log)
log2_ = in_place(elementwise_math.log2)
log10_ = in_place(elementwise_math.log10)
log1p_ = in_place(elementwise_math.log1p)
sqrt_ = in_place(elementwise_math.sqrt)
rsqrt_ = in_place(elementwise_math.rsqrt)
reciprocal_ = in_place(elementwise_math.reciprocal)
square_ = in_place(elementwise_math.square)
sin_ = in_place(elementwise_math.sin)
cos_ = in_place(elementwise_math.cos)
tan_ = in_place(elementwise_math.tan)
asin_ = arcsin_ = in_place(elementwise_math.asin)
acos_ = arccos_ = in_place(elementwise_math.acos)
atan_ = arctan_ = in_place(elementwise_math.atan)
sinh_ = in_place(elementwise_math.sinh)
cosh_ = in_place(elementwise_math.cosh)
tanh_ = in_place(elementwise_math.tanh)
asinh_ = arcsinh_ = in_place(elementwise_math.asinh)
acosh_ = arccosh_ = in_place(elementwise_math.acosh)
atanh_ = arctanh_ = in_place(elementwise_math.atanh)
sigmoid_ = in_place(elementwise_math.sigmoid)
erf_ = in_place(elementwise_math.erf)
deg2rad_ = in_place(elementwise_math.deg2rad)
rad2deg_ = in_place(elementwise_math.rad2deg)

abs_ = absolute_ = in_place(elementwise_round.abs)
sign_ = sgn_ = in_place(elementwise_round.sign)
floor_ = in_place(elementwise_round.floor)
ceil_ = in_place(elementwise_round.ceil)
trunc_ = fix_ = in_place(elementwise_round.trunc)
round_ = in_place(elementwise_round.round)
frac_ = in_place(elementwise_round.frac)
clamp_ = clip_ = in_place(elementwise_round.clamp)
clamp_min_ = in_place(elementwise_round.clamp_min)
clamp_max_ = in_place(elementwise_round.clamp_max)

relu_ = in_place(elementwise_activation.relu)

addcmul_ = in_place(elementwise_combine.addcmul)
addcdiv_ = in_place(elementwise_combine.addcdiv)
lerp_ = in_place(elementwise_combine.lerp)
hypot_ = in_place(elementwise_combine.hypot)
heaviside_ = in_place(elementwise_combine.heaviside)
float_power_ = in_place(elementwise_combine.float_power)
nan_to_num_ = in_place(elementwise_combine.nan_to_num)

bitwise_not_ = in_place(elementwise_parts.bitwise_not)
lcm_ = in_place(elementwise_parts.lcm)
copysign_ = in_place(elementwise_parts.copysign)
nextafter_ = in_place(elementwise_parts.nextafter)
ldexp_ = in_place(elementwise_parts.ldexp)

erfc_ = in_place(elementwise_special.erfc)
erfinv_ = in_place(elementwise_special.erfinv)
lgamma_ = in_place(elementwise_special.lgamma)
mvlgamma_ = in_place(elementwise_special.mvlgamma)
digamma_ = in_place(elementwise_special.digamma)
i0_ = in_place(elementwise_bessel.i0)
igamma_ = in_place(elementwise_special.igamma)
igammac_ = in_place(elementwise_special.igammac)
logit_ = in_place(elementwise_special.logit)
sinc_ = in_place(elementwise_special.sinc)
xlogy_ = in_place(elementwise_special.xlogy)

cumsum_ = in_place(reduce.cumsum)
cumprod_ = in_place(reduce.cumprod)
tril_ = in_place(diagonal.tril)
triu_ = in_place(diagonal.triu)
renorm_ = in_place(statistics.renorm)
