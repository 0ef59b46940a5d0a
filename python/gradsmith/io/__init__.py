# SPDX-License-Identifier: Apache-2.0
"""Files: tensors and nested states in safetensors format, written so that a crash loses nothing."""

from gradsmith.io.checkpoint import load as load
from gradsmith.io.checkpoint import read_header as read_header
from gradsmith.io.checkpoint import save as save

__all__ = ["load", "read_header", "save"]
