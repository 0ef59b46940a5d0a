// SPDX-License-Identifier: Apache-2.0
// The overlay of one ISA: what each family's kernels push in front of the reference.
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

void fill_arg_reduce(OpTable& table);
void fill_attention(OpTable& table);
void fill_border(OpTable& table);
void fill_conv(OpTable& table);
void fill_convert(OpTable& table);
void fill_conv_channels_last(OpTable& table);
void fill_conv_depthwise_last(OpTable& table);
void fill_conv_winograd(OpTable& table);
void fill_distance(OpTable& table);
void fill_elementwise(OpTable& table);
void fill_embedding(OpTable& table);
void fill_gemm(OpTable& table);
void fill_indexing(OpTable& table);
void fill_integer(OpTable& table);
void fill_integer_reduce(OpTable& table);
void fill_loss(OpTable& table);
void fill_loss_ctc(OpTable& table);
void fill_loss_pointwise(OpTable& table);
void fill_norm(OpTable& table);
void fill_optim(OpTable& table);
void fill_pool(OpTable& table);
void fill_random(OpTable& table);
void fill_reduce(OpTable& table);
void fill_resampling(OpTable& table);
void fill_resampling_grid(OpTable& table);
void fill_rnn(OpTable& table);
void fill_softmax(OpTable& table);
void fill_sorting(OpTable& table);

void fill(OpTable& table) {
  fill_arg_reduce(table);
  fill_attention(table);
  fill_border(table);
  fill_conv(table);
  fill_convert(table);
  fill_conv_channels_last(table);
  fill_conv_depthwise_last(table);
  fill_conv_winograd(table);
  fill_distance(table);
  fill_elementwise(table);
  fill_embedding(table);
  fill_gemm(table);
  fill_indexing(table);
  fill_integer(table);
  fill_integer_reduce(table);
  fill_loss(table);
  fill_loss_ctc(table);
  fill_loss_pointwise(table);
  fill_norm(table);
  fill_optim(table);
  fill_pool(table);
  fill_random(table);
  fill_reduce(table);
  fill_resampling(table);
  fill_resampling_grid(table);
  fill_rnn(table);
  fill_softmax(table);
  fill_sorting(table);
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
