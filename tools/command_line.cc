#include "tools/command_line.h"

#include <getopt.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace barefuse {
namespace {

constexpr size_t kWidth = 80;       // columns
constexpr size_t kTextColumn = 25;  // where what an option means begins
constexpr int kFirstLong = 256;     // getopt's value for what has no letter

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

// The name that messages give it.
std::string Dashed(const Option& option) {
  return option.name.empty()
             ? absl::StrCat("-", std::string(1, option.short_name))
             : absl::StrCat("--", option.name);
}

// getopt_long's view of the groups.
struct GetoptTables {
  explicit GetoptTables(const std::vector<OptionGroup>& groups) {
    for (const OptionGroup& group : groups) {
      for (const Option& row : group.options) {
        const int code = row.short_name != 0
                             ? row.short_name
                             : kFirstLong + static_cast<int>(rows.size());
        const bool takes_value = !row.value.empty();
        if (!row.name.empty()) {
          long_options.push_back({row.name.c_str(),
                                  takes_value ? required_argument : no_argument,
                                  nullptr, code});
        }
        if (row.short_name != 0) {
          letters += row.short_name;
          if (takes_value) letters += ':';
        }
        rows.push_back({code, &row});
      }
    }
    long_options.push_back({nullptr, 0, nullptr, 0});
  }

  const Option& Row(int code) const {
    return *std::find_if(rows.begin(), rows.end(), [code](const auto& row) {
              return row.first == code;
            })->second;
  }

  std::string letters = ":";  // a missing value is told apart
  std::vector<option> long_options;
  std::vector<std::pair<int, const Option*>> rows;
};

// What getopt_long has just refused, by saying `said`. `seen` is the argument
// that it looked at last.
absl::Status Refusal(int said, const std::string& seen) {
  const bool is_long = seen.starts_with("--");
  const std::string culprit =
      is_long || optopt == 0
          ? seen
          : absl::StrCat("-", std::string(1, static_cast<char>(optopt)));
  if (said == ':') {
    return absl::InvalidArgumentError(
        absl::StrCat("option ", culprit, " needs a value"));
  }
  // A long option that it knows, but not with a value.
  if (is_long && optopt != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("option \"", culprit, "\" takes no value"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown option \"", culprit, "\""));
}

// Appends `text` to `*to`, whose last line is `column` wide, in lines that
// begin at kTextColumn.
void Fill(std::string_view text, size_t column, std::string* to) {
  bool first = true;
  auto next_line = [&] {
    absl::StrAppend(to, "\n", std::string(kTextColumn, ' '));
    column = kTextColumn;
    first = true;
  };
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    if (!first && column + 1 + word.size() > kWidth) next_line();
    absl::StrAppend(to, first ? "" : " ", ToAbsl(word));
    column += word.size() + (first ? 0 : 1);
    first = false;
    if (end == text.size()) break;
    if (text[end] == '\n') next_line();
    text.remove_prefix(end + 1);
  }
}

std::string HelpOf(const Option& option) {
  std::string line =
      option.short_name != 0
          ? absl::StrCat("  -", std::string(1, option.short_name),
                         option.name.empty() ? "" : ", ")
          : "      ";
  if (!option.name.empty()) absl::StrAppend(&line, "--", option.name);
  if (!option.value.empty()) absl::StrAppend(&line, " ", option.value);
  if (line.size() + 2 > kTextColumn) {
    absl::StrAppend(&line, "\n", std::string(kTextColumn, ' '));
  } else {
    line.resize(kTextColumn, ' ');
  }
  std::string text = option.help;
  if (!option.kind.range.empty()) {
    absl::StrAppend(&text, " (", option.kind.range, ")");
  }
  Fill(text, kTextColumn, &line);
  return line + "\n";
}

}  // namespace

absl::Status CommandLine::Parse(
    const std::vector<std::string>& arguments) const {
  std::vector<std::string> copies = arguments;
  std::string name = "barefuse";
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int argc = static_cast<int>(argv.size()) - 1;

  const GetoptTables tables(groups_);
  optind = 0;  // start afresh
  opterr = 0;  // the messages are ours
  for (;;) {
    const int code = getopt_long(argc, argv.data(), tables.letters.c_str(),
                                 tables.long_options.data(), nullptr);
    if (code == -1) break;
    if (code == ':' || code == '?') {
      return Refusal(code, argv[static_cast<size_t>(optind) - 1]);
    }
    const Option& row = tables.Row(code);
    absl::Status status =
        row.kind.apply(Dashed(row), optarg != nullptr ? optarg : "");
    if (!status.ok() || row.ends) return status;
  }
  return TakeOperands({argv.begin() + optind, argv.begin() + argc});
}

absl::Status CommandLine::TakeOperands(
    const std::vector<std::string>& words) const {
  if (words.size() > operands_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument \"", words[operands_.size()], "\""));
  }
  if (words.size() < operands_.size()) {
    std::string missing;
    for (size_t i = words.size(); i < operands_.size(); ++i) {
      absl::StrAppend(&missing, missing.empty() ? "" : " and ",
                      operands_[i].name);
    }
    return absl::InvalidArgumentError(absl::StrCat(
        missing, operands_.size() - words.size() > 1 ? " are" : " is",
        " missing"));
  }
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(operands_[i].name, " is an empty string"));
    }
    *operands_[i].to = words[i];
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> CommandLine::ApplyListed(std::string_view text) const {
  const size_t equals = text.find('=');
  const bool has_value = equals != text.npos;
  const std::string_view name = text.substr(0, equals);
  for (const OptionGroup& group : groups_) {
    for (const Option& row : group.options) {
      if (!row.in_list || row.name.empty() || name != row.name) continue;
      if (has_value != !row.value.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("mount option ", ToAbsl(name),
                         has_value ? " takes no value" : " needs a value"));
      }
      absl::Status status =
          row.kind.apply(Dashed(row), has_value ? text.substr(equals + 1) : "");
      if (!status.ok()) return status;
      return true;
    }
  }
  return false;
}

std::string CommandLine::Help() const {
  std::string help;
  for (const OptionGroup& group : groups_) {
    std::string rows;
    for (const Option& row : group.options) {
      if (!row.help.empty()) rows += HelpOf(row);
    }
    if (rows.empty()) continue;
    absl::StrAppend(&help, help.empty() ? "" : "\n", group.title,
                    group.title.empty() ? "" : "\n", rows);
  }
  return help;
}

}  // namespace barefuse
