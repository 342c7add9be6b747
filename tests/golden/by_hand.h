// Golden messages that no kernel here sends, built field by field.
#ifndef BAREFUSE_TESTS_GOLDEN_BY_HAND_H_
#define BAREFUSE_TESTS_GOLDEN_BY_HAND_H_

#include <map>
#include <string>

#include "tests/golden/golden.h"

namespace barefuse::testing {

// By file name, without the text.
std::map<std::string, Golden> MessagesByHand();

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_GOLDEN_BY_HAND_H_
