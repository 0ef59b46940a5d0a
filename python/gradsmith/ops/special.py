# SPDX-License-Identifier: Apache-2.0
"""Special functions under the names of ``torch.special``."""

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
from gradsmith.ops.elementwise_special import i0 as i0
from gradsmith.ops.elementwise_special import i0e as i0e
from gradsmith.ops.elementwise_special import i1 as i1
from gradsmith.ops.elementwise_special import i1e as i1e
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
from gradsmith.ops.softmax import log_softmax as log_softmax
from gradsmith.ops.softmax import logsumexp as logsumexp
from gradsmith.ops.softmax import softmax as softmax

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
]
