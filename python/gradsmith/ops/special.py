# SPDX-License-Identifier: Apache-2.0
"""Special functions under the names of ``torch.special``."""

from gradsmith.ops.elementwise_bessel import bessel_j0 as bessel_j0
from gradsmith.ops.elementwise_bessel import bessel_j1 as bessel_j1
from gradsmith.ops.elementwise_bessel import bessel_y0 as bessel_y0
from gradsmith.ops.elementwise_bessel import bessel_y1 as bessel_y1
from gradsmith.ops.elementwise_bessel import i0 as i0
from gradsmith.ops.elementwise_bessel import i0 as modified_bessel_i0
from gradsmith.ops.elementwise_bessel import i0e as i0e
from gradsmith.ops.elementwise_bessel import i1 as i1
from gradsmith.ops.elementwise_bessel import i1 as modified_bessel_i1
from gradsmith.ops.elementwise_bessel import i1e as i1e
from gradsmith.ops.elementwise_bessel import modified_bessel_k0 as modified_bessel_k0
from gradsmith.ops.elementwise_bessel import modified_bessel_k1 as modified_bessel_k1
from gradsmith.ops.elementwise_bessel import scaled_modified_bessel_k0 as scaled_modified_bessel_k0
from gradsmith.ops.elementwise_bessel import scaled_modified_bessel_k1 as scaled_modified_bessel_k1
from gradsmith.ops.elementwise_bessel import spherical_bessel_j0 as spherical_bessel_j0
from gradsmith.ops.elementwise_math import erf as erf
from gradsmith.ops.elementwise_math import exp2 as exp2
from gradsmith.ops.elementwise_math import expm1 as expm1
from gradsmith.ops.elementwise_math import log1p as log1p
from gradsmith.ops.elementwise_math import sigmoid as expit
from gradsmith.ops.elementwise_round import round as round
from gradsmith.ops.elementwise_special import digamma as digamma
from gradsmith.ops.elementwise_special import digamma as psi
from gradsmith.ops.elementwise_special import entr as entr
from gradsmith.ops.elementwise_special import erfc as erfc
from gradsmith.ops.elementwise_special import erfcx as erfcx
from gradsmith.ops.elementwise_special import erfinv as erfinv
from gradsmith.ops.elementwise_special import gammainc as gammainc
from gradsmith.ops.elementwise_special import gammaincc as gammaincc
from gradsmith.ops.elementwise_special import lgamma as gammaln
from gradsmith.ops.elementwise_special import log_ndtr as log_ndtr
from gradsmith.ops.elementwise_special import logit as logit
from gradsmith.ops.elementwise_special import mvlgamma as multigammaln
from gradsmith.ops.elementwise_special import ndtr as ndtr
from gradsmith.ops.elementwise_special import ndtri as ndtri
from gradsmith.ops.elementwise_special import polygamma as polygamma
from gradsmith.ops.elementwise_special import sinc as sinc
from gradsmith.ops.elementwise_special import xlog1py as xlog1py
from gradsmith.ops.elementwise_special import xlogy as xlogy
from gradsmith.ops.elementwise_special import zeta as zeta
from gradsmith.ops.polynomials import chebyshev_polynomial_t as chebyshev_polynomial_t
from gradsmith.ops.polynomials import chebyshev_polynomial_u as chebyshev_polynomial_u
from gradsmith.ops.polynomials import chebyshev_polynomial_v as chebyshev_polynomial_v
from gradsmith.ops.polynomials import chebyshev_polynomial_w as chebyshev_polynomial_w
from gradsmith.ops.polynomials import hermite_polynomial_h as hermite_polynomial_h
from gradsmith.ops.polynomials import hermite_polynomial_he as hermite_polynomial_he
from gradsmith.ops.polynomials import laguerre_polynomial_l as laguerre_polynomial_l
from gradsmith.ops.polynomials import legendre_polynomial_p as legendre_polynomial_p
from gradsmith.ops.polynomials import (
    shifted_chebyshev_polynomial_t as shifted_chebyshev_polynomial_t,
)
from gradsmith.ops.polynomials import (
    shifted_chebyshev_polynomial_u as shifted_chebyshev_polynomial_u,
)
from gradsmith.ops.polynomials import (
    shifted_chebyshev_polynomial_v as shifted_chebyshev_polynomial_v,
)
from gradsmith.ops.polynomials import (
    shifted_chebyshev_polynomial_w as shifted_chebyshev_polynomial_w,
)
from gradsmith.ops.softmax import log_softmax as log_softmax
from gradsmith.ops.softmax import logsumexp as logsumexp
from gradsmith.ops.softmax import softmax as softmax

__all__ = [
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "chebyshev_polynomial_t",
    "chebyshev_polynomial_u",
    "chebyshev_polynomial_v",
    "chebyshev_polynomial_w",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammainc",
    "gammaincc",
    "gammaln",
    "hermite_polynomial_h",
    "hermite_polynomial_he",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "laguerre_polynomial_l",
    "legendre_polynomial_p",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "modified_bessel_i0",
    "modified_bessel_i1",
    "modified_bessel_k0",
    "modified_bessel_k1",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "scaled_modified_bessel_k0",
    "scaled_modified_bessel_k1",
    "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u",
    "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
    "sinc",
    "softmax",
    "spherical_bessel_j0",
    "xlog1py",
    "xlogy",
    "zeta",
]
