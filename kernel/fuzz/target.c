/* SPDX-License-Identifier: MIT */
/*
 * The libFuzzer target.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	fuzz_run(bytes, count, NULL, 0);
	return 0;
}
