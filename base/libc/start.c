/* SPDX-License-Identifier: MIT */
/*
 * From a component's start to main(): arguments, auxiliary vector and
 * thread-local storage as the C library expects them from a Linux kernel.
 * args of system.conf become argv[1] and up.
 */
#include <tessera/runtime.h>

enum { MAX_ARGS = 32 };
enum { AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_UID = 11,
	AT_EUID = 12, AT_GID = 13, AT_EGID = 14, AT_HWCAP = 16, AT_SECURE = 23, AT_RANDOM = 25 };
enum { PT_TLS = 7 };

int main(int argc, char **argv, char **environment);
int __libc_start_main(int (*program)(int, char **, char **), int argc, char **argv,
    void (*init)(void), void (*fini)(void), void (*loader)(void));

/* From component.ld. */
extern const char __tls_image[], __tls_image_end[], __tls_end[];

struct program_header {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

/* What the C library takes off the stack of a Linux program: pointers to the
 * arguments, null, pointers to the environment, null, pairs. */
struct start_vector {
	char *argv[MAX_ARGS + 1];
	char *environment[1];
	uint64_t aux[2 * 12];
};

static char text[sizeof component->args];
static struct program_header tls;
static uint64_t random[2];

static int
split_args(struct start_vector *v)
{
	int argc = 1;
	char *at = text;

	v->argv[0] = (char *)(uintptr_t)component->name;
	memcpy(text, component->args, sizeof text);
	while (argc < MAX_ARGS) {
		while (*at == ' ')
			at++;
		if (*at == '\0')
			break;
		v->argv[argc++] = at;
		while (*at != '\0' && *at != ' ')
			at++;
		if (*at == ' ')
			*at++ = '\0';
	}
	return argc;
}

/* The vector must follow the last argument: argv is moved up to it. */
static char **
join(struct start_vector *v, int argc)
{
	char **argv = &v->argv[MAX_ARGS - argc];

	memmove(argv, v->argv, (size_t)argc * sizeof *argv);
	v->argv[MAX_ARGS] = NULL;
	v->environment[0] = NULL;
	return argv;
}

int
component_main(const struct component_info *info)
{
	static struct start_vector v;
	const uint64_t aux[] = {
		AT_PHDR, (uint64_t)&tls, AT_PHENT, sizeof tls, AT_PHNUM, 1,
		AT_PAGESZ, 4096, AT_UID, 0, AT_EUID, 0, AT_GID, 0, AT_EGID, 0,
		AT_SECURE, 0, AT_HWCAP, 3 /* FP, ASIMD */, AT_RANDOM, (uint64_t)random,
		AT_NULL, 0,
	};
	int argc = split_args(&v);
	char **argv = join(&v, argc);

	_Static_assert(sizeof aux == sizeof v.aux, "the vector's room");
	memcpy(v.aux, aux, sizeof aux);
	random[0] = info->random;
	random[1] = info->random * 0x9e3779b97f4a7c15ULL;
	tls = (struct program_header){
		.type = PT_TLS,
		.vaddr = (uint64_t)__tls_image,
		.filesz = (uint64_t)(__tls_image_end - __tls_image),
		.memsz = (uint64_t)(__tls_end - __tls_image),
		.align = 64,
	};
	return __libc_start_main(main, argc, argv, NULL, NULL, NULL);
}
