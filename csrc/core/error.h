// SPDX-License-Identifier: Apache-2.0
// The exceptions the contract throws; bindings turn each into the Python exception of its name.
// GS_CHECK(condition, parts...) streams its parts into the message of a ValueError.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace gradsmith {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct ValueError : Error {
  using Error::Error;
};
struct TypeError : Error {
  using Error::Error;
};
struct IndexError : Error {
  using Error::Error;
};
struct MemoryError : Error {
  using Error::Error;
};
struct DeviceError : Error {  // a RuntimeError in Python: what a GPU or its driver reports
  using Error::Error;
};

template <class... Parts>
std::string concatenate(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

}  // namespace gradsmith

#define GS_CHECK_AS(Exception, condition, ...)                                             \
  do {                                                                                     \
    if (!(condition)) throw ::gradsmith::Exception(::gradsmith::concatenate(__VA_ARGS__)); \
  } while (0)
#define GS_CHECK(condition, ...) GS_CHECK_AS(ValueError, condition, __VA_ARGS__)
#define GS_CHECK_TYPE(condition, ...) GS_CHECK_AS(TypeError, condition, __VA_ARGS__)
#define GS_CHECK_INDEX(condition, ...) GS_CHECK_AS(IndexError, condition, __VA_ARGS__)
