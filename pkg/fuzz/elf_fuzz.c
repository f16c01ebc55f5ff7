// SPDX-License-Identifier: MIT
/* The ELF files that a build brings, as package_create looks at them. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);
	struct list needed = {0};
	char *soname = NULL;

	must(fd >= 0 && write_all(fd, data, size) == 0);
	elf_read(fd, &soname, &needed);
	must(soname == NULL || strlen(soname) < size);
	for (size_t i = 0; i < needed.count; i++)
		must(strlen(needed.items[i]) < size);
	free(soname);
	list_free(&needed);
	close(fd);
	return 0;
}
