// SPDX-License-Identifier: Apache-2.0
// Softmax and its logarithm by strips of columns: along a dimension that is not the last, or of
// short rows.
#pragma once

#include "cpu/kernels/softmax_short_rows.h"
#include "ops/softmax.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class T>
void softmax_columns(const SoftmaxParams& p) {
  for_all_strips<T, 1>(p, {p.x}, p.y, [](const auto& strip, const auto& place) {
    Vec<compute_t<T>> most[strip.kCount], sum[strip.kCount];
    const auto* x = place.source[0];
    strip.find_maximum(x, most);
    strip.add_up(sum, [&](std::int64_t row, int j) {
      const auto value = exp(strip.at(x, row, j) - most[j]);
      strip.put_aside(value, place.aside, row, j);
      return value;
    });
    for (auto& column : sum) column = Vec<compute_t<T>>(compute_t<T>(1)) / column;
    strip.each([&](std::int64_t row, int j) {
      strip.put(strip.at(place.aside, row, j) * sum[j], place.result, row, j);
    });
  });
}

template <class T>
void log_softmax_columns(const SoftmaxParams& p) {
  for_all_strips<T, 1>(p, {p.x}, p.y, [](const auto& strip, const auto& place) {
    Vec<compute_t<T>> most[strip.kCount], sum[strip.kCount];
    const auto* x = place.source[0];
    strip.find_maximum(x, most);
    strip.add_up(sum, [&](std::int64_t row, int j) { return exp(strip.at(x, row, j) - most[j]); });
    for (auto& column : sum) column = log(column);
    strip.each([&](std::int64_t row, int j) {
      strip.put((strip.at(x, row, j) - most[j]) - sum[j], place.result, row, j);
    });
  });
}

template <class T>
void softmax_backward_columns(const SoftmaxBackwardParams& p) {
  for_all_strips<T, 2>(p, {p.y, p.dy}, p.dx, [](const auto& strip, const auto& place) {
    Vec<compute_t<T>> sum[strip.kCount];
    const auto *y = place.source[0], *dy = place.source[1];
    strip.add_up(
        sum, [&](std::int64_t row, int j) { return strip.at(y, row, j) * strip.at(dy, row, j); });
    strip.each([&](std::int64_t row, int j) {
      strip.put(strip.at(y, row, j) * (strip.at(dy, row, j) - sum[j]), place.result, row, j);
    });
  });
}

template <class T>
void log_softmax_backward_columns(const SoftmaxBackwardParams& p) {
  for_all_strips<T, 2>(p, {p.y, p.dy}, p.dx, [](const auto& strip, const auto& place) {
    Vec<compute_t<T>> sum[strip.kCount];
    const auto *y = place.source[0], *dy = place.source[1];
    strip.add_up(sum, [&](std::int64_t row, int j) { return strip.at(dy, row, j); });
    strip.each([&](std::int64_t row, int j) {
      strip.put(fnma(exp(strip.at(y, row, j)), sum[j], strip.at(dy, row, j)), place.result, row, j);
    });
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
