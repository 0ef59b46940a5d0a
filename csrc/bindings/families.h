// SPDX-License-Identifier: Apache-2.0
// Each family's functions in the extension module.
#pragma once

#include <pybind11/pybind11.h>

namespace gradsmith::bindings {

void bind_elementwise(pybind11::module_& m);
void bind_reduce(pybind11::module_& m);
void bind_gemm(pybind11::module_& m);
void bind_linear(pybind11::module_& m);
void bind_conv(pybind11::module_& m);
void bind_pool(pybind11::module_& m);
void bind_norm(pybind11::module_& m);
void bind_softmax(pybind11::module_& m);
void bind_loss(pybind11::module_& m);
void bind_rnn(pybind11::module_& m);
void bind_attention(pybind11::module_& m);
void bind_distance(pybind11::module_& m);
void bind_embedding(pybind11::module_& m);
void bind_indexing(pybind11::module_& m);
void bind_random(pybind11::module_& m);
void bind_optim(pybind11::module_& m);
void bind_resampling(pybind11::module_& m);
void bind_sorting(pybind11::module_& m);

}  // namespace gradsmith::bindings
