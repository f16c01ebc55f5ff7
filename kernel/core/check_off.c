/* SPDX-License-Identifier: MIT */
/*
 * In place of check.c where the invariant checker is left out (release).
 */
#include <kernel/core.h>

const bool checker_present = false;
uint64_t checks_done;

unsigned
check_everything(void)
{
	return 0;
}
