# SPDX-License-Identifier: Apache-2.0
"""The tape: recording, backward passes, gradients of any order and their checks."""

from gradsmith.autograd import functional
from gradsmith.autograd.anomaly import AnomalyError, detect_anomaly, set_detect_anomaly
from gradsmith.autograd.checkpoint import checkpoint, checkpoint_sequential
from gradsmith.autograd.engine import backward
from gradsmith.autograd.function import Function, FunctionContext
from gradsmith.autograd.gradcheck import gradcheck, gradgradcheck
from gradsmith.autograd.gradients import grad
from gradsmith.autograd.mode import (
    cast_down,
    cast_up,
    casting_off,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    mode,
    no_grad,
    set_grad_enabled,
)
from gradsmith.autograd.tape import OUTPUT, Gradients, Node, Output, record, record_many
from gradsmith.autograd.watch import Watcher, watching

__all__ = [
    "OUTPUT",
    "AnomalyError",
    "Function",
    "FunctionContext",
    "Gradients",
    "Node",
    "Output",
    "Watcher",
    "backward",
    "cast_down",
    "cast_up",
    "casting_off",
    "checkpoint",
    "checkpoint_sequential",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "mode",
    "no_grad",
    "record",
    "record_many",
    "set_detect_anomaly",
    "set_grad_enabled",
    "watching",
]
