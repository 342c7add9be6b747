#include "proto/text.h"

namespace barefuse::proto {
namespace {

constexpr int64_t kSecondsPerDay = 86400;
// Beyond these the year has more than four digits, or a sign.
constexpr int64_t kMin = -62'167'219'200;  // 0000-01-01
constexpr int64_t kMax = 253'402'300'790;  // 9999-12-31, and room to carry

struct Date {
  int64_t year;
  int64_t month;
  int64_t day;
};

// The civil date of a day since 1970, in the Gregorian calendar. Years are
// counted from March, so that the leap day comes last.
Date DateOf(int64_t day) {
  constexpr int64_t kDaysPerEra = 146097;  // of 400 years
  const int64_t since_march_0 = day + 719468;
  const int64_t era =
      (since_march_0 >= 0 ? since_march_0 : since_march_0 - kDaysPerEra + 1) /
      kDaysPerEra;
  const int64_t in_era = since_march_0 - era * kDaysPerEra;
  const int64_t year_in_era =
      (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
  const int64_t in_year =
      in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
  const int64_t month = (5 * in_year + 2) / 153;  // 0 is March
  return {year_in_era + era * 400 + (month >= 10 ? 1 : 0),
          month < 10 ? month + 3 : month - 9,
          in_year - (153 * month + 2) / 5 + 1};
}

}  // namespace

void Text::Timestamp(int64_t seconds, uint32_t nanoseconds) {
  if (seconds < kMin || seconds > kMax) {
    Integral(seconds);
    Append('s');
    return;
  }
  seconds += nanoseconds / kNanoseconds;
  nanoseconds %= kNanoseconds;
  int64_t day = seconds / kSecondsPerDay;
  int64_t in_day = seconds % kSecondsPerDay;
  if (in_day < 0) {
    in_day += kSecondsPerDay;
    --day;
  }
  const Date date = DateOf(day);
  Integral(date.year, 10, 4);
  Append('-');
  Integral(date.month, 10, 2);
  Append('-');
  Integral(date.day, 10, 2);
  Append('T');
  Integral(in_day / 3600, 10, 2);
  Append(':');
  Integral(in_day / 60 % 60, 10, 2);
  Append(':');
  Integral(in_day % 60, 10, 2);
  if (nanoseconds != 0) {
    Append('.');
    Integral(nanoseconds, 10, 9);
  }
  Append('Z');
}

}  // namespace barefuse::proto
