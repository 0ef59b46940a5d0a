# SPDX-License-Identifier: Apache-2.0
"""One system each: data, model, training and what comes out."""
