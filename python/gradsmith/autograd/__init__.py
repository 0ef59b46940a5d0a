# SPDX-License-Identifier: Apache-2.0
"""The tape: recording, backward passes, gradients of any order and their checks."""

from gradsmith.autograd.engine import backward, grad
from gradsmith.autograd.function import Function, FunctionContext
from gradsmith.autograd.gradcheck import gradcheck, gradgradcheck
from gradsmith.autograd.mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from gradsmith.autograd.tape import OUTPUT, Gradients, Node, Output, record, record_many

__all__ = [
    "OUTPUT",
    "Function",
    "FunctionContext",
    "Gradients",
    "Node",
    "Output",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "no_grad",
    "record",
    "record_many",
    "set_grad_enabled",
]
