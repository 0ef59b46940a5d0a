# SPDX-License-Identifier: Apache-2.0
"""Mixed precision: products in 16 bits, the rest in float32, and a scale against underflow."""

from gradsmith.amp.autocast_mode import autocast as autocast
from gradsmith.amp.grad_scaler import GradScaler as GradScaler
