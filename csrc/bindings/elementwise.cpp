// SPDX-License-Identifier: Apache-2.0
// One Python function per line of the elementwise lists. An operand is an array or a Python scalar;
// a scalar becomes a stride-0 operand on the stack, so no array is made for it.
#include "ops/elementwise.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

// An operand of a binary op: an array's view, or a scalar held here.
struct Operand {
  Array view;
  py::object owner;
  bool is_array;
  double floating = 0;
  std::int64_t integer = 0;
  alignas(8) unsigned char bytes[8];

  Operand(py::handle source, const char* op, const char* argument)
      : owner(py::reinterpret_borrow<py::object>(source)), is_array(bindings::is_array(source)) {
    PyObject* object = source.ptr();
    if (is_array) {
      view = bindings::view(source, op, argument);
      return;
    }
    view.shape.ndim = 0;
    if (PyBool_Check(object)) {
      view.dtype = DType::boolean;
      integer = object == Py_True;
    } else if (PyFloat_Check(object)) {
      view.dtype = DType::float64;
      floating = PyFloat_AS_DOUBLE(object);
    } else if (PyLong_Check(object)) {
      view.dtype = DType::int64;
      int overflow = 0;
      integer = PyLong_AsLongLongAndOverflow(object, &overflow);
      GS_CHECK(overflow == 0, op, ": ", argument, " does not fit in int64");
    } else {
      refuse_array(source, op, argument);
    }
    if (view.dtype != DType::float64) floating = static_cast<double>(integer);
  }

  Operand(const Operand&) = delete;
  Operand& operator=(const Operand&) = delete;

  PromotionOperand promotion() const {
    if (!is_array) return {view.dtype, Rank::number};
    return {view.dtype, view.shape.ndim == 0 ? Rank::scalar_array : Rank::array};
  }

  // Makes the operand of `dtype`: an array is converted, a scalar written in place.
  void become(DType dtype, const char* op, const char* argument) {
    if (is_array) {
      if (view.dtype == dtype) return;
      owner = as_dtype(owner, dtype, op, argument);
      view = bindings::view(owner, op, argument);
      return;
    }
    if (view.dtype == DType::float64 && !is_floating(dtype)) truncate(dtype, op, argument);
    view.dtype = dtype;
    view.data = bytes;
    switch (dtype) {
      case DType::float32:
        *reinterpret_cast<float*>(bytes) = static_cast<float>(floating);
        return;
      case DType::float64:
        *reinterpret_cast<double*>(bytes) = floating;
        return;
      case DType::bfloat16:
        *reinterpret_cast<bfloat16*>(bytes) = bfloat16(floating);
        return;
      case DType::float16:
        *reinterpret_cast<float16*>(bytes) = float16(floating);
        return;
      case DType::int64:
        *reinterpret_cast<std::int64_t*>(bytes) = integer;
        return;
      case DType::int32:
        GS_CHECK(integer >= INT32_MIN && integer <= INT32_MAX, op, ": ", argument, " ", integer,
                 " does not fit in int32");
        *reinterpret_cast<std::int32_t*>(bytes) = static_cast<std::int32_t>(integer);
        return;
      case DType::uint8:
        GS_CHECK(integer >= 0 && integer <= 255, op, ": ", argument, " ", integer,
                 " does not fit in uint8");
        bytes[0] = static_cast<unsigned char>(integer);
        return;
      case DType::boolean:
        bytes[0] = integer != 0;
        return;
    }
  }

 private:
  // A floating number goes into an integer array without its fraction; into bool as "not zero".
  void truncate(DType dtype, const char* op, const char* argument) {
    if (dtype == DType::boolean) {
      integer = floating != 0;
      return;
    }
    GS_CHECK(floating > -9.2e18 && floating < 9.2e18, op, ": ", argument, " ", floating,
             " does not fit in ", name_of(dtype));
    integer = static_cast<std::int64_t>(floating);
  }
};

// Refuses what integers cannot do: division by zero, negative exponents.
void check_integers(BinaryOp op, const Operand& other) {
  const IntegerTest test = refused_integers(op);
  if (test == IntegerTest::none) return;
  const bool is_refused =
      other.is_array ? any_integer(test, other.view) : is_refused_by(test, other.integer);
  GS_CHECK(!is_refused, kBinaryOps[static_cast<int>(op)].name,
           test == IntegerTest::zero ? ": integer division by zero"
                                     : ": integers to negative integer powers are not integers "
                                       "(convert to a floating dtype first)");
}

// The layout of a result: that of the first operand that has the result's shape.
Layout result_layout(const Shape& shape, std::initializer_list<const Array*> operands) {
  for (const Array* operand : operands) {
    if (operand->shape == shape) return layout_of(*operand);
  }
  return Layout::channels_first;
}

// The output given by `out`, or a new one; `out` must have the result's shape and dtype.
py::object output_for(const char* op, py::handle out, const Shape& shape, DType dtype,
                      Layout layout) {
  if (out.is_none()) return empty(shape, dtype, layout);
  const Array target = writable_view(out, op, "out");
  GS_CHECK(target.shape == shape, op, ": out has shape ", to_string(target.shape), ", expected ",
           to_string(shape));
  GS_CHECK_TYPE(target.dtype == dtype, op, ": out is ", name_of(target.dtype), ", the result is ",
                name_of(dtype));
  return py::reinterpret_borrow<py::object>(out);
}

py::object call_unary(UnaryOp op, py::handle x, double option0, double option1, py::handle out) {
  const OpName& info = kUnaryOps[static_cast<int>(op)];
  py::object source = py::reinterpret_borrow<py::object>(x);
  Array input = view(source, info.name, "input");
  const DType dtype = compute_dtype(info, input.dtype);
  if (dtype != input.dtype) {
    source = as_dtype(source, dtype, info.name, "input");
    input = view(source, info.name, "input");
  }
  py::object result = output_for(info.name, out, input.shape, dtype, layout_of(input));
  const Array target = view(result, info.name, "out");
  const Array* inputs[] = {&input};
  ElementwiseParams p;
  p.op = static_cast<int>(op);
  p.dtype = p.out_dtype = dtype;
  p.option[0] = option0;
  p.option[1] = option1;
  set_layout(p, target, inputs, 1);
  run_released(table().unary, p, p.count);
  return result;
}

// bool arithmetic is logic, as in PyTorch: + is or, * is and; so are operations on its bits.
BinaryOp for_bool(BinaryOp op) {
  switch (op) {
    case BinaryOp::add:
    case BinaryOp::maximum:
    case BinaryOp::bitwise_or:
      return BinaryOp::logical_or;
    case BinaryOp::mul:
    case BinaryOp::minimum:
    case BinaryOp::bitwise_and:
      return BinaryOp::logical_and;
    case BinaryOp::bitwise_xor:
      return BinaryOp::logical_xor;
    default:
      return op;
  }
}

py::object call_binary(BinaryOp op, py::handle a_object, py::handle b_object, double option0,
                       double option1, py::handle out) {
  const char* name = kBinaryOps[static_cast<int>(op)].name;
  Operand a(a_object, name, "input");
  Operand b(b_object, name, "other");
  GS_CHECK_TYPE(a.is_array || b.is_array, name, ": expected at least one tensor");
  const DType common = promote_operands(a.promotion(), b.promotion());
  if (common == DType::boolean) op = for_bool(op);
  const OpName& info = kBinaryOps[static_cast<int>(op)];
  const DType dtype = compute_dtype(info, common);
  a.become(dtype, name, "input");
  b.become(dtype, name, "other");
  if (!is_floating(dtype)) check_integers(op, b);
  const Shape shape = a.view.shape == b.view.shape
                          ? a.view.shape
                          : broadcast_shapes(name, a.view.shape, b.view.shape);
  const bool compares = info.category == Category::comparison;
  const DType out_dtype = compares ? DType::boolean : dtype;
  py::object result =
      output_for(name, out, shape, out_dtype, result_layout(shape, {&a.view, &b.view}));
  const Array target = view(result, name, "out");
  const Array* inputs[] = {&a.view, &b.view};
  ElementwiseParams p;
  p.op = static_cast<int>(op);
  p.dtype = dtype;
  p.out_dtype = out_dtype;
  p.option[0] = option0;
  p.option[1] = option1;
  set_layout(p, target, inputs, 2);
  p.in_is_number[0] = !a.is_array;
  p.in_is_number[1] = !b.is_array;
  run_released(compares ? table().compare : table().binary, p, p.count);
  return result;
}

// The dtype of a sum of the two, arrays or numbers.
py::handle result_type(py::handle a_object, py::handle b_object) {
  constexpr const char* kName = "result_type";
  const Operand a(a_object, kName, "tensor1");
  const Operand b(b_object, kName, "tensor2");
  const DType dtype = promote_operands(a.promotion(), b.promotion());
  const bool numbers = !a.is_array && !b.is_array;
  return numpy_dtype(numbers && is_floating(dtype) ? default_floating() : dtype);
}

py::object call_where(py::handle condition, py::handle a_object, py::handle b_object) {
  constexpr const char* kName = "where";
  const Array mask = view(condition, kName, "condition");
  GS_CHECK_TYPE(mask.dtype == DType::boolean, kName, ": condition is ", name_of(mask.dtype),
                ", expected bool");
  Operand a(a_object, kName, "input");
  Operand b(b_object, kName, "other");
  DType dtype = promote_operands(a.promotion(), b.promotion());
  if (!a.is_array && !b.is_array && is_floating(dtype)) dtype = default_floating();
  a.become(dtype, kName, "input");
  b.become(dtype, kName, "other");
  const Shape shape =
      broadcast_shapes(kName, mask.shape, broadcast_shapes(kName, a.view.shape, b.view.shape));
  py::object result = empty(shape, dtype, result_layout(shape, {&a.view, &b.view, &mask}));
  const Array target = view(result, kName, "out");
  const Array* inputs[] = {&mask, &a.view, &b.view};
  ElementwiseParams p;
  p.op = static_cast<int>(TernaryOp::select);
  p.dtype = p.out_dtype = dtype;
  set_layout(p, target, inputs, 3);
  p.in_is_number[1] = !a.is_array;
  p.in_is_number[2] = !b.is_array;
  run_released(table().select, p, p.count);
  return result;
}

py::object call_ternary(TernaryOp op, py::handle a_object, py::handle b_object, py::handle c_object,
                        double option0) {
  const char* name = kTernaryOps[static_cast<int>(op)];
  const Array a = view(a_object, name, "a"), b = view(b_object, name, "b"),
              c = view(c_object, name, "c");
  GS_CHECK_TYPE(is_floating(a.dtype) && b.dtype == a.dtype && c.dtype == a.dtype, name, ": got ",
                name_of(a.dtype), ", ", name_of(b.dtype), " and ", name_of(c.dtype),
                ", expected one floating dtype");
  const Shape shape = broadcast_shapes(name, a.shape, broadcast_shapes(name, b.shape, c.shape));
  py::object result = empty(shape, a.dtype, result_layout(shape, {&a, &b, &c}));
  const Array target = view(result, name, "out");
  const Array* inputs[] = {&a, &b, &c};
  ElementwiseParams p;
  p.op = static_cast<int>(op);
  p.dtype = p.out_dtype = a.dtype;
  p.option[0] = option0;
  p.option[1] = 0;
  set_layout(p, target, inputs, 3);
  run_released(table().select, p, p.count);
  return result;
}

// Writes src, broadcast and converted, into out.
void call_copy(py::handle out, py::handle src) {
  constexpr const char* kName = "copy_";
  const Array target = writable_view(out, kName, "out");
  Operand source(src, kName, "src");
  if (!source.is_array) source.become(target.dtype, kName, "src");
  const Shape shape = broadcast_shapes(kName, target.shape, source.view.shape);
  GS_CHECK(shape == target.shape, kName, ": src of shape ", to_string(source.view.shape),
           " does not fit into shape ", to_string(target.shape));
  const Array* inputs[] = {&source.view};
  ElementwiseParams p{};
  p.dtype = source.view.dtype;
  p.out_dtype = target.dtype;
  set_layout(p, target, inputs, 1);
  p.in_is_number[0] = !source.is_array;
  run_released(table().convert, p, p.count);
}

// A copy in memory of its own.
py::object copy_in(Layout layout, const Array& source, py::handle x) {
  py::object result = empty(source.shape, source.dtype, layout);
  call_copy(result, x);
  return result;
}

py::object copy_of(py::handle x) {
  return copy_in(Layout::channels_first, view(x, "clone", "input"), x);
}

py::object clone(py::handle x) {
  const Array source = view(x, "clone", "input");
  return copy_in(layout_of(source), source, x);
}

// The layout of a new array that stands for `like` in another shape.
Layout layout_beside(py::handle like, const Shape& shape, const char* op) {
  if (like.is_none()) return Layout::channels_first;
  const Array model = view(like, op, "like");
  return model.ndim() == shape.ndim ? layout_of(model) : Layout::channels_first;
}

py::object call_empty(const py::tuple& sizes, py::handle dtype, py::handle like) {
  const Shape shape = shape_from(sizes, "empty");
  return empty(shape, dtype_from(dtype, "empty"), layout_beside(like, shape, "empty"));
}

py::object call_zeros(const py::tuple& sizes, py::handle dtype, py::handle like) {
  const Shape shape = shape_from(sizes, "zeros");
  return zeros(shape, dtype_from(dtype, "zeros"), layout_beside(like, shape, "zeros"));
}

py::object call_full(const py::tuple& sizes, py::handle value, py::handle dtype, py::handle like) {
  const Shape shape = shape_from(sizes, "full");
  py::object result = empty(shape, dtype_from(dtype, "full"), layout_beside(like, shape, "full"));
  call_copy(result, value);
  return result;
}

}  // namespace

void bind_elementwise(py::module_& m) {
  for (int i = 0; i < static_cast<int>(std::size(kUnaryOps)); ++i) {
    const UnaryOp op = static_cast<UnaryOp>(i);
    m.def(
        kUnaryOps[i].name,
        [op](py::handle x, double option0, double option1, py::handle out) {
          return call_unary(op, x, option0, option1, out);
        },
        py::arg("x"), py::arg("option0") = 0.0, py::arg("option1") = 0.0,
        py::arg("out") = py::none());
  }
  for (int i = 0; i < static_cast<int>(std::size(kBinaryOps)); ++i) {
    const BinaryOp op = static_cast<BinaryOp>(i);
    m.def(
        kBinaryOps[i].name,
        [op](py::handle a, py::handle b, double option0, double option1, py::handle out) {
          return call_binary(op, a, b, option0, option1, out);
        },
        py::arg("a"), py::arg("b"), py::arg("option0") = 0.0, py::arg("option1") = 0.0,
        py::arg("out") = py::none());
  }
  for (int i = 1; i < static_cast<int>(std::size(kTernaryOps)); ++i) {
    const TernaryOp op = static_cast<TernaryOp>(i);
    m.def(
        kTernaryOps[i],
        [op](py::handle a, py::handle b, py::handle c, double option0) {
          return call_ternary(op, a, b, c, option0);
        },
        py::arg("a"), py::arg("b"), py::arg("c"), py::arg("option0") = 0.0);
  }
  m.def("result_type", &result_type, py::arg("a"), py::arg("b"));
  m.def("where", &call_where, py::arg("condition"), py::arg("a"), py::arg("b"));
  m.def("copy", &call_copy, py::arg("out"), py::arg("src"));
  m.def(
      "cast",
      [](py::object x, py::handle dtype) {
        return as_dtype(std::move(x), dtype_from(dtype, "to"), "to", "input");
      },
      py::arg("x"), py::arg("dtype"));
  m.def(
      "set_default_floating",
      [](py::handle dtype) { set_default_floating(dtype_from(dtype, "set_default_dtype")); },
      py::arg("dtype"));
  m.def("copy_of", &copy_of, py::arg("x"));
  m.def("clone", &clone, py::arg("x"));
  m.def("spread", &spread, py::arg("x"), py::arg("shape"), py::arg("axes"));
  m.def("owns_memory", &owns_memory, py::arg("x"));
  m.def("full", &call_full, py::arg("shape"), py::arg("value"), py::arg("dtype"),
        py::arg("like") = py::none());
  m.def("zeros", &call_zeros, py::arg("shape"), py::arg("dtype"), py::arg("like") = py::none());
  m.def("empty", &call_empty, py::arg("shape"), py::arg("dtype"), py::arg("like") = py::none());
  m.def(
      "contiguous", [](py::object x) { return as_contiguous(std::move(x), "contiguous", "input"); },
      py::arg("x"));
}

}  // namespace gradsmith::bindings
