// SPDX-License-Identifier: Apache-2.0
// Every step takes lists of parameters, gradients, per parameter a tuple of states (None where an
// option needs none) and the number of the step.
#include <vector>

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

class Group {
 public:
  Group(const char* op, const py::list& params, const py::list& grads, const py::list& states,
        const py::list& steps) {
    const std::size_t count = params.size();
    GS_CHECK(grads.size() == count && states.size() == count && steps.size() == count, op, ": got ",
             count, " parameters, ", grads.size(), " gradients, ", states.size(), " states and ",
             steps.size(), " steps");
    grads_.reserve(count);
    tensors_.reserve(count);
    end_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      grads_.push_back(contiguous_input(grads[i], op, "grad"));
      add(op, params[i], states[i], steps[i].cast<double>());
    }
  }

  OptimTensors tensors() const {
    return {tensors_.data(), end_.data(), static_cast<int>(tensors_.size()), total()};
  }
  std::int64_t total() const { return end_.empty() ? 0 : end_.back(); }

 private:
  void add(const char* op, py::handle param, py::handle states, double step) {
    const py::tuple given = py::reinterpret_borrow<py::tuple>(states);
    GS_CHECK_TYPE(PyTuple_Check(states.ptr()) && given.size() <= kMaxOptimStates, op,
                  ": states are no tuple of at most ", kMaxOptimStates, " arrays");
    Array views[kMaxOptimStates];
    const Array* pointers[kMaxOptimStates] = {};
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (given[i].is_none()) continue;
      views[i] = writable_view(given[i], op, "state");
      pointers[i] = &views[i];
    }
    tensors_.push_back(
        optim_tensor(op, writable_view(param, op, "param"), grads_.back().view, pointers, step));
    end_.push_back(total() + tensors_.back().count);
  }

  std::vector<Input> grads_;
  std::vector<OptimTensor> tensors_;
  std::vector<std::int64_t> end_;
};

void require_states(const char* op, const OptimTensors& on, int index) {
  for (int i = 0; i < on.count; ++i) {
    GS_CHECK(on.tensors[i].state[index] != nullptr, op, ": parameter ", i, " lacks state ", index);
  }
}

void call_sgd(const py::list& params, const py::list& grads, const py::list& states,
              const py::list& steps, double lr, double momentum, double dampening,
              double weight_decay, bool nesterov, bool maximize) {
  const Group group("SGD", params, grads, states, steps);
  const SgdParams p{group.tensors(), lr, momentum, dampening, weight_decay, nesterov, maximize};
  if (momentum != 0) require_states("SGD", p.on, 0);
  run_released(table().sgd_step, p, group.total());
}

void call_adagrad(const py::list& params, const py::list& grads, const py::list& states,
                  const py::list& steps, double lr, double lr_decay, double weight_decay,
                  double eps, bool maximize) {
  const Group group("Adagrad", params, grads, states, steps);
  const AdagradParams p{group.tensors(), lr, lr_decay, weight_decay, eps, maximize};
  require_states("Adagrad", p.on, 0);
  run_released(table().adagrad_step, p, group.total());
}

void call_adadelta(const py::list& params, const py::list& grads, const py::list& states,
                   const py::list& steps, double lr, double rho, double eps, double weight_decay,
                   bool maximize) {
  const Group group("Adadelta", params, grads, states, steps);
  const AdadeltaParams p{group.tensors(), lr, rho, eps, weight_decay, maximize};
  for (int i = 0; i < 2; ++i) require_states("Adadelta", p.on, i);
  run_released(table().adadelta_step, p, group.total());
}

void call_rmsprop(const py::list& params, const py::list& grads, const py::list& states,
                  const py::list& steps, double lr, double alpha, double eps, double weight_decay,
                  double momentum, bool centered, bool maximize) {
  const Group group("RMSprop", params, grads, states, steps);
  const RmspropParams p{group.tensors(), lr,       alpha,    eps,
                        weight_decay,    momentum, centered, maximize};
  require_states("RMSprop", p.on, 0);
  if (momentum > 0) require_states("RMSprop", p.on, 1);
  if (centered) require_states("RMSprop", p.on, 2);
  run_released(table().rmsprop_step, p, group.total());
}

void call_adam(const py::list& params, const py::list& grads, const py::list& states,
               const py::list& steps, double lr, double beta1, double beta2, double eps,
               double weight_decay, bool amsgrad, bool decoupled, bool maximize) {
  const char* op = decoupled ? "AdamW" : "Adam";
  const Group group(op, params, grads, states, steps);
  const AdamParams p{group.tensors(), lr,      beta1,     beta2,   eps,
                     weight_decay,    amsgrad, decoupled, maximize};
  for (int i = 0; i < (amsgrad ? 3 : 2); ++i) require_states(op, p.on, i);
  run_released(table().adam_step, p, group.total());
}

}  // namespace

void bind_optim(py::module_& m) {
  m.def("sgd_step", &call_sgd, py::arg("params"), py::arg("grads"), py::arg("states"),
        py::arg("steps"), py::arg("lr"), py::arg("momentum"), py::arg("dampening"),
        py::arg("weight_decay"), py::arg("nesterov"), py::arg("maximize"));
  m.def("adagrad_step", &call_adagrad, py::arg("params"), py::arg("grads"), py::arg("states"),
        py::arg("steps"), py::arg("lr"), py::arg("lr_decay"), py::arg("weight_decay"),
        py::arg("eps"), py::arg("maximize"));
  m.def("adadelta_step", &call_adadelta, py::arg("params"), py::arg("grads"), py::arg("states"),
        py::arg("steps"), py::arg("lr"), py::arg("rho"), py::arg("eps"), py::arg("weight_decay"),
        py::arg("maximize"));
  m.def("rmsprop_step", &call_rmsprop, py::arg("params"), py::arg("grads"), py::arg("states"),
        py::arg("steps"), py::arg("lr"), py::arg("alpha"), py::arg("eps"), py::arg("weight_decay"),
        py::arg("momentum"), py::arg("centered"), py::arg("maximize"));
  m.def("adam_step", &call_adam, py::arg("params"), py::arg("grads"), py::arg("states"),
        py::arg("steps"), py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"),
        py::arg("weight_decay"), py::arg("amsgrad"), py::arg("decoupled"), py::arg("maximize"));
}

}  // namespace gradsmith::bindings
