# SPDX-License-Identifier: Apache-2.0
"""gradsmith: deep learning on kernels written by hand."""

from gradsmith import autograd as autograd
from gradsmith.autograd import no_grad as no_grad
from gradsmith.tensor import Tensor as Tensor
from gradsmith.ops import methods as _methods
