# SPDX-License-Identifier: Apache-2.0
"""The differentiable functions, one module per op family."""
