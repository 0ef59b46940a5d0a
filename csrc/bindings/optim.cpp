// SPDX-License-Identifier: Apache-2.0
// What an optimiser holds from step to step, parameters and per parameter a tuple of states (None
// where an option needs none), is looked at once. A step brings the gradients, the number of the
// step and, for optimisers that need them, a list or tuple of numbers; they are checked when they
// are gathered, before anything is updated.
#include "ops/optim.h"

#include <memory>
#include <vector>

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

class Group {
 public:
  Group(std::string op, const py::list& params, const py::list& states) : op_(std::move(op)) {
    const std::size_t count = params.size();
    GS_CHECK(states.size() == count, op_, ": got ", count, " parameters and ", states.size(),
             " states");
    params_.reserve(count);
    tensors_.reserve(count);
    end_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) add(params[i], states[i]);
  }

  const char* op() const { return op_.c_str(); }
  const std::vector<Array>& params() const { return params_; }
  const std::vector<OptimTensor>& tensors() const { return tensors_; }
  const std::int64_t* end() const { return end_.data(); }
  std::int64_t total() const { return end_.empty() ? 0 : end_.back(); }

 private:
  void add(py::handle param, py::handle states) {
    const py::tuple given = py::reinterpret_borrow<py::tuple>(states);
    GS_CHECK_TYPE(PyTuple_Check(states.ptr()) && given.size() <= kMaxOptimStates, op_,
                  ": states are no tuple of at most ", kMaxOptimStates, " arrays");
    kept_.push_back(py::reinterpret_borrow<py::object>(param));
    kept_.push_back(given);
    Array views[kMaxOptimStates];
    const Array* pointers[kMaxOptimStates] = {};
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (given[i].is_none()) continue;
      views[i] = writable_view(given[i], op(), "state");
      pointers[i] = &views[i];
    }
    params_.push_back(writable_view(param, op(), "param"));
    tensors_.push_back(optim_tensor(op(), params_.back(), pointers));
    end_.push_back(total() + tensors_.back().count);
  }

  std::string op_;
  std::vector<py::object> kept_;  // what the tensors point into
  std::vector<Array> params_;
  std::vector<OptimTensor> tensors_;  // without gradients
  std::vector<std::int64_t> end_;
};

class Step {
 public:
  Step(std::shared_ptr<const Group> group, const py::list& grads, const py::list& steps,
       const py::list& numbers)
      : group_(std::move(group)), has_numbers_(numbers.size() > 0), tensors_(group_->tensors()) {
    const char* op = group_->op();
    const std::size_t count = tensors_.size();
    GS_CHECK(grads.size() == count && steps.size() == count, op, ": got ", count, " parameters, ",
             grads.size(), " gradients and ", steps.size(), " steps");
    GS_CHECK(!has_numbers_ || numbers.size() == count, op, ": got ", count, " parameters and ",
             numbers.size(), " rows of numbers");
    grads_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      grads_.push_back(contiguous_input(grads[i], op, "grad"));
      double given[kGivenNumbers];
      if (has_numbers_) read_numbers(op, numbers[i], given);
      set_gradient(op, group_->params()[i], grads_.back().view, steps[i].cast<double>(),
                   has_numbers_ ? given : nullptr, &tensors_[i]);
    }
  }

  OptimTensors tensors() const {
    return {tensors_.data(), group_->end(), static_cast<int>(tensors_.size()), total()};
  }
  std::int64_t total() const { return group_->total(); }

  // The tensors for an optimiser that needs these states.
  OptimTensors with_states(std::initializer_list<int> needed) const {
    for (const int state : needed) {
      for (std::size_t i = 0; i < tensors_.size(); ++i) {
        GS_CHECK(tensors_[i].state[state] != nullptr, group_->op(), ": parameter ", i,
                 " lacks state ", state);
      }
    }
    return tensors();
  }
  OptimTensors with_numbers_and_states(std::initializer_list<int> needed) const {
    GS_CHECK(has_numbers_ || tensors_.empty(), group_->op(), ": the parameters lack their numbers");
    return with_states(needed);
  }

 private:
  static void read_numbers(const char* op, py::handle row, double* given) {
    const py::sequence numbers = py::reinterpret_borrow<py::sequence>(row);
    GS_CHECK_TYPE(PySequence_Check(row.ptr()) && numbers.size() == kGivenNumbers, op,
                  ": a row of numbers is no sequence of ", kGivenNumbers);
    for (int i = 0; i < kGivenNumbers; ++i) given[i] = numbers[i].cast<double>();
  }

  std::shared_ptr<const Group> group_;
  bool has_numbers_;
  std::vector<OptimTensor> tensors_;
  std::vector<Input> grads_;
};

void call_sgd(const Step& step, double lr, double momentum, double dampening, double weight_decay,
              bool nesterov, bool maximize) {
  const OptimTensors on = momentum != 0 ? step.with_states({0}) : step.tensors();
  const SgdParams p{on, lr, momentum, dampening, weight_decay, nesterov, maximize};
  run_released(table().sgd_step, p, step.total());
}

void call_adagrad(const Step& step, double lr, double lr_decay, double weight_decay, double eps,
                  bool maximize) {
  const AdagradParams p{step.with_states({0}), lr, lr_decay, weight_decay, eps, maximize};
  run_released(table().adagrad_step, p, step.total());
}

void call_adadelta(const Step& step, double lr, double rho, double eps, double weight_decay,
                   bool maximize) {
  const AdadeltaParams p{step.with_states({0, 1}), lr, rho, eps, weight_decay, maximize};
  run_released(table().adadelta_step, p, step.total());
}

void call_rmsprop(const Step& step, double lr, double alpha, double eps, double weight_decay,
                  double momentum, bool centered, bool maximize) {
  if (momentum > 0) step.with_states({1});
  if (centered) step.with_states({2});
  const RmspropParams p{step.with_states({0}), lr,       alpha,    eps,
                        weight_decay,          momentum, centered, maximize};
  run_released(table().rmsprop_step, p, step.total());
}

void call_adam(const Step& step, double lr, double beta1, double beta2, double eps,
               double weight_decay, bool amsgrad, bool decoupled, bool maximize) {
  const OptimTensors on = amsgrad ? step.with_states({0, 1, 2}) : step.with_states({0, 1});
  const AdamParams p{on, lr, beta1, beta2, eps, weight_decay, amsgrad, decoupled, maximize};
  run_released(table().adam_step, p, step.total());
}

void call_adamax(const Step& step, double lr, double beta1, double beta2, double eps,
                 double weight_decay, bool maximize) {
  const AdamaxParams p{step.with_states({0, 1}), lr, beta1, beta2, eps, weight_decay, maximize};
  run_released(table().adamax_step, p, step.total());
}

void call_nadam(const Step& step, double lr, double beta1, double beta2, double eps,
                double weight_decay, bool decoupled, bool maximize) {
  const OptimTensors on = step.with_numbers_and_states({0, 1});
  const NadamParams p{on, lr, beta1, beta2, eps, weight_decay, decoupled, maximize};
  run_released(table().nadam_step, p, step.total());
}

void call_radam(const Step& step, double lr, double beta1, double beta2, double eps,
                double weight_decay, bool decoupled, bool maximize) {
  const OptimTensors on = step.with_states({0, 1});
  const RadamParams p{on, lr, beta1, beta2, eps, weight_decay, decoupled, maximize};
  run_released(table().radam_step, p, step.total());
}

void call_rprop(const Step& step, double shrink, double grow, double shortest, double longest,
                bool maximize) {
  const RpropParams p{step.with_states({0, 1}), shrink, grow, shortest, longest, maximize};
  run_released(table().rprop_step, p, step.total());
}

void call_asgd(const Step& step, double lambd, double weight_decay, bool maximize) {
  const AsgdParams p{step.with_numbers_and_states({0}), lambd, weight_decay, maximize};
  run_released(table().asgd_step, p, step.total());
}

void call_lion(const Step& step, double lr, double beta1, double beta2, double weight_decay,
               bool maximize) {
  const LionParams p{step.with_states({0}), lr, beta1, beta2, weight_decay, maximize};
  run_released(table().lion_step, p, step.total());
}

}  // namespace

void bind_optim(py::module_& m) {
  // Local to the module, for the modules of other devices have classes of these names too.
  py::class_<Group, std::shared_ptr<Group>>(
      m, "OptimGroup", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
      py::module_local());
  py::class_<Step>(m, "OptimTensors", py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
                   py::module_local());
  m.def(
      "optim_group",
      [](std::string op, const py::list& params, const py::list& states) {
        return std::make_shared<Group>(std::move(op), params, states);
      },
      py::arg("op"), py::arg("params"), py::arg("states"));
  m.def(
      "optim_tensors",
      [](std::shared_ptr<Group> group, const py::list& grads, const py::list& steps,
         const py::list& numbers) { return Step(std::move(group), grads, steps, numbers); },
      py::arg("group"), py::arg("grads"), py::arg("steps"), py::arg("numbers") = py::list());
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
  m.def("adamax_step", &call_adamax, py::arg("tensors"), py::arg("lr"), py::arg("beta1"),
        py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"), py::arg("maximize"));
  m.def("nadam_step", &call_nadam, py::arg("tensors"), py::arg("lr"), py::arg("beta1"),
        py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"), py::arg("decoupled"),
        py::arg("maximize"));
  m.def("radam_step", &call_radam, py::arg("tensors"), py::arg("lr"), py::arg("beta1"),
        py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"), py::arg("decoupled"),
        py::arg("maximize"));
  m.def("rprop_step", &call_rprop, py::arg("tensors"), py::arg("shrink"), py::arg("grow"),
        py::arg("shortest"), py::arg("longest"), py::arg("maximize"));
  m.def("asgd_step", &call_asgd, py::arg("tensors"), py::arg("lambd"), py::arg("weight_decay"),
        py::arg("maximize"));
  m.def("lion_step", &call_lion, py::arg("tensors"), py::arg("lr"), py::arg("beta1"),
        py::arg("beta2"), py::arg("weight_decay"), py::arg("maximize"));
}

}  // namespace gradsmith::bindings
