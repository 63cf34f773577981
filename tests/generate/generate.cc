// SPDX-License-Identifier: Apache-2.0

#include "tests/generate/generate.h"
