/* SPDX-License-Identifier: MIT */
#include "../../../../arch/arm64/include/arch/types.h"
