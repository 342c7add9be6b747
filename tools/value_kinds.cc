// What values options take.
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/command_line.h"

namespace barefuse {
namespace {

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

absl::Status Wrong(std::string_view option, std::string_view value,
                   const std::string& wanted) {
  return absl::InvalidArgumentError(absl::StrCat(
      ToAbsl(option), ": \"", ToAbsl(value), "\" is not ", wanted));
}

// Reads all of `text`.
template <class Number, class... Base>
bool Read(std::string_view text, Number* number, Base... base) {
  const char* last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, *number, base...);
  return !text.empty() && error == std::errc() && end == last;
}

std::string Range(const std::string& low, const std::string& high,
                  const std::string& preset) {
  std::string text = absl::StrCat(low, " to ", high);
  if (preset != "-") absl::StrAppend(&text, "; default ", preset);
  return text;
}

constexpr std::string_view kUnits = "KMGT";

bool ReadSize(std::string_view text, uint64_t* bytes) {
  unsigned shift = 0;
  if (!text.empty()) {
    const char last = text.back() & ~0x20;  // as a capital
    if (size_t unit = kUnits.find(last); unit != kUnits.npos) {
      shift = 10 * static_cast<unsigned>(unit + 1);
      text.remove_suffix(1);
    }
  }
  if (!Read(text, bytes) || *bytes > (~uint64_t{0} >> shift)) return false;
  *bytes <<= shift;
  return true;
}

std::string SecondsText(absl::Duration time) {
  return absl::StrCat(absl::ToDoubleSeconds(time));
}

}  // namespace

ValueKind Text(std::string* to) {
  return {[to](std::string_view, std::string_view value) {
    *to = value;
    return absl::OkStatus();
  }};
}

ValueKind NumberKind(uint64_t low, uint64_t high, std::string preset,
                     SetNumber set) {
  auto apply = [low, high, set](std::string_view option,
                                std::string_view value) {
    uint64_t number = 0;
    if (!Read(value, &number) || number < low || number > high) {
      return Wrong(option, value,
                   absl::StrCat("a number from ", low, " to ", high));
    }
    set(number);
    return absl::OkStatus();
  };
  return {apply, Range(absl::StrCat(low), absl::StrCat(high), preset)};
}

std::string SizeText(uint64_t bytes) {
  size_t unit = 0;
  while (unit < kUnits.size() && bytes != 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return absl::StrCat(bytes, ToAbsl(unit == 0 ? std::string_view()
                                              : kUnits.substr(unit - 1, 1)));
}

ValueKind SizeKind(uint64_t low, uint64_t high, std::string preset,
                   SetNumber set) {
  auto apply = [low, high, set](std::string_view option,
                                std::string_view value) {
    uint64_t bytes = 0;
    if (!ReadSize(value, &bytes) || bytes < low || bytes > high) {
      return Wrong(
          option, value,
          absl::StrCat("a size from ", SizeText(low), " to ", SizeText(high)));
    }
    set(bytes);
    return absl::OkStatus();
  };
  return {apply, Range(SizeText(low), SizeText(high), preset)};
}

ValueKind Mode(uint32_t* to) {
  auto apply = [to](std::string_view option, std::string_view value) {
    uint32_t mode = 0;
    if (!Read(value, &mode, 8) || mode > 07777) {
      return Wrong(option, value, "an octal number from 0 to 7777");
    }
    *to = mode;
    return absl::OkStatus();
  };
  return {apply,
          Range("0", "7777",
                absl::StrCat("0", absl::Hex(*to >> 6 & 7),
                             absl::Hex(*to >> 3 & 7), absl::Hex(*to & 7)))};
}

namespace {

template <class Duration>
ValueKind SecondsTo(Duration* to, uint32_t high, const std::string& preset) {
  auto apply = [to, high](std::string_view option, std::string_view value) {
    double seconds = 0;
    if (!Read(value, &seconds) || std::signbit(seconds) || !(seconds <= high)) {
      return Wrong(option, value, absl::StrCat("a number from 0 to ", high));
    }
    *to = absl::Seconds(seconds);
    return absl::OkStatus();
  };
  return {apply, Range("0", absl::StrCat(high), preset)};
}

}  // namespace

ValueKind Seconds(absl::Duration* to, uint32_t high) {
  return SecondsTo(to, high, SecondsText(*to));
}

ValueKind Seconds(std::optional<absl::Duration>* to, uint32_t high,
                  std::string preset) {
  return SecondsTo(to, high, preset);
}

ValueKind ChoiceKind(std::vector<std::string> names, SetChoice set) {
  return {[names = std::move(names), set = std::move(set)](
              std::string_view option, std::string_view value) -> absl::Status {
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i] != value) continue;
      set(i);
      return absl::OkStatus();
    }
    return Wrong(
        option, value,
        absl::StrCat(absl::StrJoin(names.begin(), names.end() - 1, ", "),
                     " or ", names.back()));
  }};
}

ValueKind WholeSeconds(absl::Duration* to, uint32_t high, std::string preset) {
  return NumberKind(0, high, preset.empty() ? SecondsText(*to) : preset,
                    [to](uint64_t seconds) {
                      *to = absl::Seconds(static_cast<int64_t>(seconds));
                    });
}

ValueKind Microseconds(absl::Duration* to, uint32_t high) {
  return NumberKind(0, high, absl::StrCat(absl::ToInt64Microseconds(*to)),
                    [to](uint64_t time) {
                      *to = absl::Microseconds(static_cast<int64_t>(time));
                    });
}

}  // namespace barefuse
