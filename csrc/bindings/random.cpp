// SPDX-License-Identifier: Apache-2.0
#include "ops/random.h"

#include <string>

#include "bindings/array.h"
#include "bindings/families.h"

namespace gradsmith::bindings {
namespace {

// Drawing a number costs as much as this many elements of simple work.
constexpr std::int64_t kDrawWork = 8;

void call_fill(const Slot<RandomParams>& slot, py::handle out, std::uint64_t seed,
               std::uint64_t offset, double low, double high, const std::string& op) {
  const Array target = writable_view(out, op.c_str(), "out");
  const RandomParams p = random_params(op.c_str(), target, {seed, offset}, low, high);
  run_released(slot, p, p.count * kDrawWork);
}

py::object call_integers(const py::tuple& size, std::uint64_t seed, std::uint64_t offset,
                         std::int64_t low, std::int64_t high, const std::string& op) {
  const Shape shape = shape_from(size, op.c_str());
  RandomIntegerParams p = random_integer_params(op.c_str(), shape, {seed, offset}, low, high);
  py::object out = empty(shape, DType::int64);
  p.out = view(out, op.c_str(), "out").as<std::int64_t>();
  run_released(table().random_integers, p, p.count * kDrawWork);
  return out;
}

// Fills out, an array in C order, by one probability or an array of them of out's shape and dtype.
void call_bernoulli(py::handle out, py::handle probability, std::uint64_t seed,
                    std::uint64_t offset) {
  constexpr const char* kOp = "bernoulli";
  const Array target = writable_view(out, kOp, "out");
  const bool is_number = PyFloat_Check(probability.ptr()) || PyLong_Check(probability.ptr());
  Input probabilities;
  if (!is_number) probabilities = contiguous_input(probability, kOp, "p");
  const RandomBernoulliParams p =
      random_bernoulli_params(target, {seed, offset}, is_number ? nullptr : &probabilities.view,
                              is_number ? probability.cast<double>() : 0);
  run_released(table().random_bernoulli, p, p.count * kDrawWork);
}

py::object call_permutation(std::int64_t n, std::uint64_t seed, std::uint64_t offset) {
  constexpr const char* kOp = "randperm";
  Shape shape;
  shape.append(n);
  RandomPermutationParams p{nullptr, checked_count(shape), {seed, offset}};
  py::object out = empty(shape, DType::int64);
  p.out = view(out, kOp, "out").as<std::int64_t>();
  run_released(table().random_permutation, p, p.count * kDrawWork);
  return out;
}

py::object call_multinomial(py::handle weights, std::int64_t samples, bool replacement,
                            std::uint64_t seed, std::uint64_t offset) {
  constexpr const char* kOp = "multinomial";
  const Input input = contiguous_input(weights, kOp, "input");
  Shape shape;
  RandomMultinomialParams p =
      random_multinomial_params(input.view, samples, replacement, {seed, offset}, &shape);
  py::object out = empty(shape, DType::int64);
  p.out = view(out, kOp, "out").as<std::int64_t>();
  run_released(table().random_multinomial, p, p.rows * (p.categories + p.samples) * kDrawWork);
  return out;
}

py::object call_dropout(py::handle x, double probability, std::int64_t group, std::uint64_t seed,
                        std::uint64_t offset, const std::string& op) {
  const Input input = contiguous_input(x, op.c_str(), "input");
  DropoutParams p = dropout_params(op.c_str(), input.view, probability, group, {seed, offset});
  py::object y = empty(input.view.shape, p.dtype);
  p.y = view(y, op.c_str(), "out").data;
  run_released(table().dropout, p, p.count * kDrawWork);
  return y;
}

}  // namespace

void bind_random(py::module_& m) {
  m.def(
      "random_uniform",
      [](py::handle out, std::uint64_t seed, std::uint64_t offset, double low, double high,
         const std::string& op) {
        call_fill(table().random_uniform, out, seed, offset, low, high, op);
      },
      py::arg("out"), py::arg("seed"), py::arg("offset"), py::arg("low"), py::arg("high"),
      py::arg("op"));
  m.def(
      "random_normal",
      [](py::handle out, std::uint64_t seed, std::uint64_t offset, double mean, double std,
         const std::string& op) {
        call_fill(table().random_normal, out, seed, offset, mean, std, op);
      },
      py::arg("out"), py::arg("seed"), py::arg("offset"), py::arg("mean"), py::arg("std"),
      py::arg("op"));
  m.def("random_integers", &call_integers, py::arg("shape"), py::arg("seed"), py::arg("offset"),
        py::arg("low"), py::arg("high"), py::arg("op"));
  m.def("random_bernoulli", &call_bernoulli, py::arg("out"), py::arg("p"), py::arg("seed"),
        py::arg("offset"));
  m.def("random_permutation", &call_permutation, py::arg("n"), py::arg("seed"), py::arg("offset"));
  m.def("random_multinomial", &call_multinomial, py::arg("weights"), py::arg("samples"),
        py::arg("replacement"), py::arg("seed"), py::arg("offset"));
  m.def("dropout", &call_dropout, py::arg("x"), py::arg("p"), py::arg("group"), py::arg("seed"),
        py::arg("offset"), py::arg("op"));
}

}  // namespace gradsmith::bindings
