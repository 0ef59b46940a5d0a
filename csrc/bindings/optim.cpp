// SPDX-License-Identifier: Apache-2.0
// A step takes the tensors of a group, which are checked when they are gathered: parameters,
// gradients, per parameter a tuple of states (None where an option needs none) and the number of
// the step.
#include "ops/optim.h"

#include <vector>

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

class Group {
 public:
  Group(std::string op_name, const py::list& params, const py::list& grads, const py::list& states,
        const py::list& steps)
      : op_(std::move(op_name)) {
    const char* op = op_.c_str();
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

  // The tensors for an optimiser that needs these states.
  OptimTensors with_states(std::initializer_list<int> needed) const {
    for (const int state : needed) {
      for (std::size_t i = 0; i < tensors_.size(); ++i) {
        GS_CHECK(tensors_[i].state[state] != nullptr, op_, ": parameter ", i, " lacks state ",
                 state);
      }
    }
    return tensors();
  }

 private:
  void add(const char* op, py::handle param, py::handle states, double step) {
    const py::tuple given = py::reinterpret_borrow<py::tuple>(states);
    GS_CHECK_TYPE(PyTuple_Check(states.ptr()) && given.size() <= kMaxOptimStates, op,
                  ": states are no tuple of at most ", kMaxOptimStates, " arrays");
    kept_.push_back(py::reinterpret_borrow<py::object>(param));
    kept_.push_back(given);
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

  std::string op_;
  std::vector<py::object> kept_;  // what the tensors point into
  std::vector<Input> grads_;
  std::vector<OptimTensor> tensors_;
  std::vector<std::int64_t> end_;
};

void call_sgd(const Group& group, double lr, double momentum, double dampening, double weight_decay,
              bool nesterov, bool maximize) {
  const OptimTensors on = momentum != 0 ? group.with_states({0}) : group.tensors();
  const SgdParams p{on, lr, momentum, dampening, weight_decay, nesterov, maximize};
  run_released(table().sgd_step, p, group.total());
}

void call_adagrad(const Group& group, double lr, double lr_decay, double weight_decay, double eps,
                  bool maximize) {
  const AdagradParams p{group.with_states({0}), lr, lr_decay, weight_decay, eps, maximize};
  run_released(table().adagrad_step, p, group.total());
}

void call_adadelta(const Group& group, double lr, double rho, double eps, double weight_decay,
                   bool maximize) {
  const AdadeltaParams p{group.with_states({0, 1}), lr, rho, eps, weight_decay, maximize};
  run_released(table().adadelta_step, p, group.total());
}

void call_rmsprop(const Group& group, double lr, double alpha, double eps, double weight_decay,
                  double momentum, bool centered, bool maximize) {
  if (momentum > 0) group.with_states({1});
  if (centered) group.with_states({2});
  const RmspropParams p{group.with_states({0}), lr,       alpha,    eps,
                        weight_decay,           momentum, centered, maximize};
  run_released(table().rmsprop_step, p, group.total());
}

void call_adam(const Group& group, double lr, double beta1, double beta2, double eps,
               double weight_decay, bool amsgrad, bool decoupled, bool maximize) {
  const OptimTensors on = amsgrad ? group.with_states({0, 1, 2}) : group.with_states({0, 1});
  const AdamParams p{on, lr, beta1, beta2, eps, weight_decay, amsgrad, decoupled, maximize};
  run_released(table().adam_step, p, group.total());
}

}  // namespace

void bind_optim(py::module_& m) {
  // Local to the module, for the modules of other devices have a class of this name too.
  py::class_<Group>(m, "OptimTensors", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
                    py::module_local());
  m.def(
      "optim_tensors",
      [](std::string op, const py::list& params, const py::list& grads, const py::list& states,
         const py::list& steps) { return Group(std::move(op), params, grads, states, steps); },
      py::arg("op"), py::arg("params"), py::arg("grads"), py::arg("states"), py::arg("steps"));
  m.def("sgd_step", &call_sgd, py::arg("tensors"), py::arg("lr"), py::arg("momentum"),
        py::arg("dampening"), py::arg("weight_decay"), py::arg("nesterov"), py::arg("maximize"));
  m.def("adagrad_step", &call_adagrad, py::arg("tensors"), py::arg("lr"), py::arg("lr_decay"),
        py::arg("weight_decay"), py::arg("eps"), py::arg("maximize"));
  m.def("adadelta_step", &call_adadelta, py::arg("tensors"), py::arg("lr"), py::arg("rho"),
        py::arg("eps"), py::arg("weight_decay"), py::arg("maximize"));
  m.def("rmsprop_step", &call_rmsprop, py::arg("tensors"), py::arg("lr"), py::arg("alpha"),
        py::arg("eps"), py::arg("weight_decay"), py::arg("momentum"), py::arg("centered"),
        py::arg("maximize"));
  m.def("adam_step", &call_adam, py::arg("tensors"), py::arg("lr"), py::arg("beta1"),
        py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"), py::arg("amsgrad"),
        py::arg("decoupled"), py::arg("maximize"));
}

}  // namespace gradsmith::bindings
