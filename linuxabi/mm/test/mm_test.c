/* SPDX-License-Identifier: MIT */
/* linuxabi/mm on the build host: one translation unit, each test in a process of its own. */
#include <asm-generic/mman.h>
#include "mm_host.h"
#include <proto/world.h>
#include "../page.c"
#include "../radix.c"
#include "../mapping.c"
#include "../area.c"
#include "../space.c"
#include "../map.c"
#include "../fault.c"
#include "../fill.c"
#include "../../io/chunk.c"
#include "test_chunk.c"
#include "test_page.c"
#include "test_radix.c"
#include "test_vma.c"

static int
passes(int (*test)(void))
{
	int status = -1, pid = fork();

	if (pid == 0)
		exit(test());
	waitpid(pid, &status, 0);
	return status == 0;
}

int
main(void)
{
	int failed = !passes(test_page) + !passes(test_chunk) + !passes(test_radix) + !passes(test_vma);

	return failed;
}
