// SPDX-License-Identifier: Apache-2.0
// Reduction of angles that are too large for subtracting multiples of pi / 2 in floating point.
// Payne and Hanek, "Radian reduction for trigonometric functions", 1983: of the product of the
// mantissa and 2 / pi only the bits from 2 (the quadrant) down to 2^-126 are formed. The closest a
// double comes to a multiple of pi / 2 is about 2^-61, so at least 64 good bits remain.
#include "cpu/simd/huge_angle.h"

#include <cstdint>

namespace gradsmith::cpu {
namespace {

__extension__ typedef unsigned __int128 uint128;

// 2 / pi, most significant word first: word i holds the bits of weight 2^(-64 i - 1) and below.
constexpr std::uint64_t kTwoOverPi[] = {
    0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
    0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484,
    0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d, 0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d};
constexpr double kHalfPi = 1.57079632679489661923;

// 64 bits of 2 / pi from bit position `first` on; position 0 has weight 1/2, positions before it
// hold zeros.
std::uint64_t bits_from(int first) {
  if (first <= -64) return 0;
  if (first < 0) return kTwoOverPi[0] >> -first;
  const std::uint64_t upper = kTwoOverPi[first / 64] << (first % 64);
  return first % 64 == 0 ? upper : upper | (kTwoOverPi[first / 64 + 1] >> (64 - first % 64));
}

}  // namespace

ReducedAngle reduce_huge_angle(double angle) {
  if (!(angle <= 1.7976931348623157e308)) return {__builtin_nan(""), 0.0};
  const std::uint64_t word = __builtin_bit_cast(std::uint64_t, angle);
  const std::uint64_t mantissa = (word & 0x000fffffffffffff) | 0x0010000000000000;
  const int exponent = static_cast<int>(word >> 52) - 1075;

  // The window's first bit, times the mantissa's last, has weight 2: higher ones give whole turns.
  const int first = exponent - 2;
  const uint128 low = static_cast<uint128>(mantissa) * bits_from(first + 128);
  const uint128 middle = static_cast<uint128>(mantissa) * bits_from(first + 64);
  const uint128 high = static_cast<uint128>(mantissa) * bits_from(first);
  // Fixed point: two bits of quadrant, then 126 of fraction.
  const uint128 product = (high << 64) + middle + (low >> 64);

  const uint128 half_quadrant = static_cast<uint128>(1) << 125;
  const unsigned quadrant = static_cast<unsigned>((product + half_quadrant) >> 126);
  uint128 fraction = product - (static_cast<uint128>(quadrant) << 126);
  const bool negative = static_cast<bool>(fraction >> 127);
  if (negative) fraction = -fraction;
  if (fraction == 0) return {0.0, static_cast<double>(quadrant)};

  const std::uint64_t upper = static_cast<std::uint64_t>(fraction >> 64);
  const int zeros = upper != 0 ? __builtin_clzll(upper)
                               : 64 + __builtin_clzll(static_cast<std::uint64_t>(fraction));
  const double leading = static_cast<double>(static_cast<std::uint64_t>((fraction << zeros) >> 64));
  const double scale =
      __builtin_bit_cast(double, static_cast<std::uint64_t>(1023 - 62 - zeros) << 52);
  const double rest = leading * scale * kHalfPi;
  return {negative ? -rest : rest, static_cast<double>(quadrant & 3u)};
}

double angle_of_same_sine(double angle, bool cosine) {
  const ReducedAngle reduced = reduce_huge_angle(angle);
  const int quadrant = (static_cast<int>(reduced.quadrant) + (cosine ? 1 : 0)) % 4;
  const double rest = quadrant % 2 == 0 ? reduced.rest : kHalfPi - __builtin_fabs(reduced.rest);
  return quadrant >= 2 ? -rest : rest;
}

}  // namespace gradsmith::cpu
