# SPDX-License-Identifier: Apache-2.0
"""Sequences of different lengths, padded or packed; lengths and masks."""

from gradsmith.ops.rnn_lengths import length_mask as length_mask
from gradsmith.ops.rnn_lengths import mask_lengths as mask_lengths
from gradsmith.ops.rnn_packing import PackedSequence as PackedSequence
from gradsmith.ops.rnn_packing import pack_padded_sequence as pack_padded_sequence
from gradsmith.ops.rnn_packing import pack_sequence as pack_sequence
from gradsmith.ops.rnn_packing import pad_packed_sequence as pad_packed_sequence
from gradsmith.ops.rnn_packing import pad_sequence as pad_sequence
from gradsmith.ops.rnn_packing import unpack_sequence as unpack_sequence
from gradsmith.ops.rnn_packing import unpad_sequence as unpad_sequence
