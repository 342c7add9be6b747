// A command line as a table: what is parsed, what --help shows and what is said
// of mistakes come from the same rows.
#ifndef BAREFUSE_TOOLS_COMMAND_LINE_H_
#define BAREFUSE_TOOLS_COMMAND_LINE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace barefuse {

// Exit statuses.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // it could not be mounted, or broke off
inline constexpr int kExitUsage = 2;   // the command line is wrong

// Whose words the arguments are.
enum class Caller {
  kPerson,  // behind "barefuse COMMAND"
  kMount8,  // given to the helper of mount(8), with options of its own
};

// What an option does with its value, and what --help says of that.
struct ValueKind {
  // Takes the value, which is empty for an option that has none.
  // InvalidArgument is a sentence; `option` is how it is called there
  // ("--timeout").
  using Apply = std::function<absl::Status(std::string_view option,
                                           std::string_view value)>;
  Apply apply{};
  std::string range{};  // "1 to 1024; default 16", or empty
};

// `to` outlives the kind. Where `preset` is empty, what `*to` is now is the
// default that the help shows; "-" shows none.
template <class T>
ValueKind Assign(T* to, T value) {
  return {[to, value](std::string_view, std::string_view) {
    *to = value;
    return absl::OkStatus();
  }};
}
ValueKind Text(std::string* to);

// One of some names, each with what it stands for.
using SetChoice = std::function<void(size_t)>;
ValueKind ChoiceKind(std::vector<std::string> names, SetChoice set);
template <class T>
ValueKind Choice(T* to, std::vector<std::pair<std::string, T>> choices) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) names.push_back(name);
  return ChoiceKind(std::move(names),
                    [to, choices = std::move(choices)](size_t chosen) {
                      *to = choices[chosen].second;
                    });
}

using SetNumber = std::function<void(uint64_t)>;
// A decimal number.
ValueKind NumberKind(uint64_t low, uint64_t high, std::string preset,
                     SetNumber set);
template <class Integer>
ValueKind Number(Integer* to, uint64_t low, uint64_t high,
                 std::string preset = "") {
  return NumberKind(
      low, high, preset.empty() ? std::to_string(*to) : std::move(preset),
      [to](uint64_t number) { *to = static_cast<Integer>(number); });
}
// Bytes: a decimal number, also with K, M, G or T (powers of 1024).
ValueKind SizeKind(uint64_t low, uint64_t high, std::string preset,
                   SetNumber set);
std::string SizeText(uint64_t bytes);  // "64K"
template <class Integer>
ValueKind Size(Integer* to, uint64_t low, uint64_t high,
               std::string preset = "") {
  return SizeKind(low, high, preset.empty() ? SizeText(*to) : std::move(preset),
                  [to](uint64_t bytes) { *to = static_cast<Integer>(bytes); });
}
// Permission bits in octal.
ValueKind Mode(uint32_t* to);
// Seconds with a fraction, or whole ones, or whole microseconds.
ValueKind Seconds(absl::Duration* to, uint32_t high);
ValueKind Seconds(std::optional<absl::Duration>* to, uint32_t high,
                  std::string preset);
ValueKind WholeSeconds(absl::Duration* to, uint32_t high,
                       std::string preset = "");
ValueKind Microseconds(absl::Duration* to, uint32_t high);

struct Option {
  std::string name{};   // the long one, without dashes, or empty
  char short_name = 0;  // or none
  std::string value{};  // what the help calls its value; empty: it takes none
  std::string help{};   // broken into lines where it is shown; empty: not shown
  ValueKind kind{};
  bool in_list = true;  // -o takes it too, by its long name
  bool ends = false;    // nothing behind it matters: --help
};

struct OptionGroup {
  std::string title;  // may be empty
  std::vector<Option> options;
};

// Not thread-safe: getopt_long(3) is not.
class CommandLine {
 public:
  CommandLine() = default;
  // What is applied keeps pointers to it.
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  void Add(OptionGroup group) { groups_.push_back(std::move(group)); }
  // An argument that is no option; all that are added must be there, in this
  // order, and not empty. `to` outlives this.
  void AddOperand(std::string name, std::string* to) {
    operands_.push_back({std::move(name), to});
  }

  // Applies all arguments, options and operands mixed as they like. With an
  // option that `ends`, only those before it. InvalidArgument is a sentence
  // about the first mistake.
  absl::Status Parse(const std::vector<std::string>& arguments) const;

  // For -o: applies "NAME" or "NAME=VALUE". Whether it was an option of ours.
  absl::StatusOr<bool> ApplyListed(std::string_view text) const;

  // All groups, at most 80 columns wide.
  std::string Help() const;

  const std::vector<OptionGroup>& groups() const { return groups_; }

 private:
  struct Operand {
    std::string name;
    std::string* to;
  };
  absl::Status TakeOperands(const std::vector<std::string>& words) const;

  std::vector<OptionGroup> groups_;
  std::vector<Operand> operands_;
};

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_COMMAND_LINE_H_
