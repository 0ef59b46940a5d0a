// SPDX-License-Identifier: Apache-2.0
// tanh and erf of floats by a polynomial of its own for each of eight intervals, for ISAs whose
// registers hold a table of eight (kLookup). With so few, intervals are as long as the function
// lets them be, and each polynomial is one in the distance from its centre, a number of few bits at
// which the function is nearly a float. Minimax like those of tables.h; the bounds are those of the
// worst interval before rounding.
#pragma once

#include "cpu/simd/tables.h"

namespace gradsmith::cpu {

// f(centre[n] + t): terms[i][n] is the coefficient of t^i.
template <int kTerms>
struct EightPieces {
  float centre[8];
  float terms[kTerms][8];
};

// tanh between 0, 1/2, 1, 2, 3, 5, 7 and 9.1, where it rounds to 1, by the last three bits of
// half_octave(1 + x), of which 5 does not occur: 2^-28.14
constexpr EightPieces<9> kTanhEightPieces = {
    {1.51464844f, 2.49572754f, 4.0213623f, 5.98840332f, 8.11499023f, 0.0f, 0.0f, 0.755615234f},
    {{0.907760501f, 0.986500204f, 0.999357343f, 0.999987423f, 0.999999821f, 0.0f, 0.0f,
      0.638486981f},
     {0.175970852f, 0.0268173516f, 0.00128487847f, 2.51531364e-05f, 3.57658507e-07f, 0.0f, 1.0f,
      0.59233439f},
     {-0.159739166f, -0.0264553223f, -0.00128404424f, -2.51537676e-05f, -3.58002296e-07f, 0.0f,
      9.28144814e-08f, -0.378197789f},
     {0.0863495469f, 0.0171588436f, 0.000855288585f, 1.67733651e-05f, 2.38488042e-07f, 0.0f,
      -0.333338737f, 0.0440274775f},
     {-0.0251445416f, -0.00810884498f, -0.000426617364f, -8.38237793e-06f, -1.18031501e-07f, 0.0f,
      0.000107356696f, 0.0979528129f},
     {-0.00207511941f, 0.00287911133f, 0.000168410188f, 3.32778882e-06f, 4.73567709e-08f, 0.0f,
      0.132305026f, -0.063981086f},
     {0.00676638912f, -0.000723488163f, -5.54181534e-05f, -1.11516874e-06f, -1.71799837e-08f, 0.0f,
      0.00541583216f, -0.000124675949f},
     {-0.00373450527f, 5.98254701e-05f, 1.73700791e-05f, 3.57597258e-07f, 5.09525755e-09f, 0.0f,
      -0.0703612119f, 0.0203300826f},
     {0.000771222403f, 4.74241897e-05f, -4.21926325e-06f, -8.61030642e-08f, -7.65986052e-10f, 0.0f,
      0.0277270395f, -0.0105733285f}}};

// erf between multiples and a half of 1 / kErfPiecesPerUnit up to 3.93, where it rounds to 1, but
// erf(x) - x in the first: 2^-27.65
constexpr float kErfPiecesPerUnit = 1.875f;
constexpr EightPieces<8> kErfEightPieces = {
    {0.0f, 0.534423828f, 1.06811523f, 1.60375977f, 2.12878418f, 2.6628418f, 3.20617676f,
     3.65332031f},
    {{0.0f, 0.550224543f, 0.869095087f, 0.976674378f, 0.997392297f, 0.999834001f, 0.999994218f,
      0.999999762f},
     {0.128379166f, 0.84804076f, 0.360563248f, 0.0861846507f, 0.0121437591f, 0.000939705351f,
      3.87342006e-05f, 1.80316476e-06f},
     {0.0f, -0.453212678f, -0.385123402f, -0.138219595f, -0.0258513577f, -0.00250223209f,
      -0.000124209226f, -6.58867521e-06f},
     {-0.376125991f, -0.121210605f, 0.154048979f, 0.119052775f, 0.0326402634f, 0.00412887847f,
      0.00025253839f, 1.54411628e-05f},
     {-1.45966342e-05f, 0.183411837f, 0.0461319759f, -0.0493853576f, -0.026132293f, -0.00466522528f,
      -0.000362362218f, -2.59526842e-05f},
     {0.113025501f, -0.00276696449f, -0.0659021735f, -0.00404762942f, 0.0124511849f, 0.0037295057f,
      0.000390221743f, 3.35613295e-05f},
     {-0.00106327876f, -0.0471992828f, 0.0104352469f, 0.0151840206f, -0.00168597582f,
      -0.00204740954f, -0.000338275975f, -3.51673953e-05f},
     {-0.0244596563f, 0.00705070607f, 0.0121485423f, -0.00579040637f, -0.00182641461f,
      0.000659580342f, 0.000203271367f, 2.39951187e-05f}}};

}  // namespace gradsmith::cpu

namespace gradsmith::cpu::GS_SIMD {

template <class T>
constexpr bool has_small_tables = kLookup == 8 && sizeof(T) == sizeof(float);

template <class T, int kTerms>
GS_INLINE Vec<T> evaluate(const EightPieces<kTerms>& pieces, Vec<T> x, Vec<T> place) {
  return looked_up(pieces.terms, place, x - lookup(pieces.centre, place));
}

template <class T>
GS_INLINE Vec<T> tanh_by_small_table(Vec<T> x) {
  const Vec<T> a = min(Vec<T>(9.1f), abs(x));
  return copy_sign(evaluate(kTanhEightPieces, a, half_octave(a + Vec<T>(1.0f))), x);
}
template <class T>
GS_INLINE Vec<T> erf_by_small_table(Vec<T> x) {
  const Vec<T> shift(kWholeShift<T>), a = min(Vec<T>(3.93f), abs(x));
  const Vec<T> place = fma(a, Vec<T>(kErfPiecesPerUnit), shift);
  const Vec<T> y = evaluate(kErfEightPieces, a, place);
  return copy_sign(select(place == shift, a + y, y), x);
}

}  // namespace gradsmith::cpu::GS_SIMD
