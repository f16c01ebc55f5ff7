/* SPDX-License-Identifier: MIT */
/*
 * The bundle: one file that holds what a system needs before it can read any
 * disk: init, the base servers, early drivers, system.conf.  The loader takes
 * init out of it; init finds everything else here.  Manual: bundle(5).
 *
 * One header page, then the members, each page aligned and padded with zeros
 * to a whole number of pages, in the order of their entries, without gaps.
 * All numbers are little endian.  boot/tools/mkbundle writes it.
 */
#ifndef TESSERA_BUNDLE_H
#define TESSERA_BUNDLE_H

#include <stdint.h>

#define BUNDLE_MAGIC	0x4c444e4253534554ULL	/* "TESSBNDL" */
enum {
	BUNDLE_VERSION = 1,
	BUNDLE_PAGE = 4096,
	BUNDLE_NAME = 48,		/* the final NUL included */
	BUNDLE_MAX_MEMBERS = 63,
};

struct bundle_entry {
	char name[BUNDLE_NAME];		/* NUL padded, not empty, unique */
	uint64_t offset;		/* from the start of the bundle */
	uint64_t size;			/* of the member, without padding */
};

struct bundle_header {
	uint64_t magic;
	uint32_t version;
	uint32_t count;
	uint64_t size;			/* of the whole bundle, padding included */
	uint64_t reserved[5];		/* 0 */
	struct bundle_entry entry[BUNDLE_MAX_MEMBERS];
};
_Static_assert(sizeof(struct bundle_header) == BUNDLE_PAGE, "bundle header is one page");

static inline uint64_t
bundle_pages(uint64_t size)
{
	return (size + BUNDLE_PAGE - 1) & ~(uint64_t)(BUNDLE_PAGE - 1);
}

static inline int
bundle_name_equal(const char *a, const char *b)
{
	for (unsigned i = 0; i < BUNDLE_NAME; i++) {
		if (a[i] != b[i])
			return 0;
		if (a[i] == '\0')
			return 1;
	}
	return 0;
}

static inline int
bundle_name_valid(const char *name)
{
	for (unsigned i = 0; i < BUNDLE_NAME; i++)
		if (name[i] == '\0')
			return i != 0;
	return 0;
}

/*
 * What is wrong with the bundle of `size` bytes, as a phrase for a message;
 * a null pointer if nothing is.  Only a bundle that passed may be searched.
 */
static inline const char *
bundle_check(const struct bundle_header *bundle, uint64_t size)
{
	uint64_t next = BUNDLE_PAGE;

	if (size < BUNDLE_PAGE)
		return "shorter than its header page";
	if (bundle->magic != BUNDLE_MAGIC)
		return "wrong magic number";
	if (bundle->version != BUNDLE_VERSION)
		return "unknown version";
	if (bundle->count > BUNDLE_MAX_MEMBERS)
		return "more members than a header holds";
	for (unsigned i = 0; i < bundle->count; i++) {
		const struct bundle_entry *e = &bundle->entry[i];

		if (!bundle_name_valid(e->name))
			return "a member without a proper name";
		if (e->offset != next || e->size > size || bundle_pages(e->size) > size - next)
			return "a member lies outside of the bundle";
		for (unsigned j = 0; j < i; j++)
			if (bundle_name_equal(bundle->entry[j].name, e->name))
				return "two members have the same name";
		next += bundle_pages(e->size);
	}
	if (bundle->size != next || next != size)
		return "wrong total length";
	return 0;
}

/* The entry called name, or a null pointer. */
static inline const struct bundle_entry *
bundle_find(const struct bundle_header *bundle, const char *name)
{
	for (unsigned i = 0; i < bundle->count; i++)
		if (bundle_name_equal(bundle->entry[i].name, name))
			return &bundle->entry[i];
	return 0;
}

#endif
