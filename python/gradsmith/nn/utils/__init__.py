# SPDX-License-Identifier: Apache-2.0
"""Helpers for parameters, gradients and sequences: clipping, freezing, packing."""

from gradsmith.nn.utils import rnn as rnn
from gradsmith.nn.utils.clip_grad import add_grad_noise_ as add_grad_noise_
from gradsmith.nn.utils.clip_grad import clip_grad_norm_ as clip_grad_norm_
from gradsmith.nn.utils.clip_grad import clip_grad_norm_per_tensor_ as clip_grad_norm_per_tensor_
from gradsmith.nn.utils.clip_grad import clip_grad_value_ as clip_grad_value_
from gradsmith.nn.utils.clip_grad import clip_grads_with_norm_ as clip_grads_with_norm_
from gradsmith.nn.utils.clip_grad import get_total_norm as get_total_norm
from gradsmith.nn.utils.convert_parameters import parameters_to_vector as parameters_to_vector
from gradsmith.nn.utils.convert_parameters import vector_to_parameters as vector_to_parameters
from gradsmith.nn.utils.freezing import freeze as freeze
from gradsmith.nn.utils.freezing import unfreeze as unfreeze
from gradsmith.nn.utils.fusion import fuse_conv_bn_eval as fuse_conv_bn_eval
from gradsmith.nn.utils.fusion import fuse_conv_bn_weights as fuse_conv_bn_weights
from gradsmith.nn.utils.fusion import fuse_linear_bn_eval as fuse_linear_bn_eval
from gradsmith.nn.utils.fusion import fuse_linear_bn_weights as fuse_linear_bn_weights
from gradsmith.nn.utils.spectral_norm import remove_spectral_norm as remove_spectral_norm
from gradsmith.nn.utils.spectral_norm import spectral_norm as spectral_norm
from gradsmith.nn.utils.weight_norm import remove_weight_norm as remove_weight_norm
from gradsmith.nn.utils.weight_norm import weight_norm as weight_norm
