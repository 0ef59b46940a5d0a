// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace gradsmith::cpu {

// An angle as quadrant * pi / 2 + rest, |rest| <= pi / 4.
struct ReducedAngle {
  double rest;
  double quadrant;  // 0, 1, 2 or 3
};

// For angle >= 2^15; NaN for infinity and NaN.
ReducedAngle reduce_huge_angle(double angle);

// An angle from -pi / 2 to pi / 2 whose sine is that of the angle, or the angle's cosine.
double angle_of_same_sine(double angle, bool cosine);

}  // namespace gradsmith::cpu
