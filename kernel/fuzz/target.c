/* SPDX-License-Identifier: MIT */
/*
 * The libFuzzer target.
 */
#include <stdlib.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	if (fuzz_run(bytes, count) != 0)
		abort();
	return 0;
}
