/* SPDX-License-Identifier: MIT */
/*
 * Boot slots and the boot state, as they lie on a disk.  The loader reads
 * them; who upgrades the system writes a slot; who supervises it reports a
 * slot's health.  Manual: slot(5).
 *
 * A slot is a raw partition: one header sector, zeros up to SLOT_CONTENT, then
 * kernel.elf and base.bundle, each padded with zeros to whole pages.  A writer
 * first destroys the header, then writes the content, flushes, and writes the
 * header last: a slot with a good header is whole.
 *
 * The boot state is a raw partition with two records, at BOOT_STATE_STRIDE
 * from each other so that they never share a sector.  The valid one with the
 * higher sequence counts; a writer overwrites the other one.
 *
 * All numbers are little endian.  Hashes are BLAKE2b-256 (RFC 7693, no key).
 */
#ifndef TESSERA_SLOT_H
#define TESSERA_SLOT_H

#include <stdint.h>

#define SLOT_MAGIC		0x544f4c5353534554ULL	/* "TESSSLOT" */
#define BOOT_STATE_MAGIC	0x544f4f4253534554ULL	/* "TESSBOOT" */
enum {
	SLOT_VERSION = 1,
	BOOT_STATE_VERSION = 1,
	SLOT_CONTENT = 4096,		/* where the content starts */
	SLOT_PAGE = 4096,
	SLOT_CMDLINE = 256,
	SLOT_LABEL = 64,
	SLOT_HASH = 32,
	SLOT_COUNT = 2,			/* A and B */
	BOOT_STATE_STRIDE = 4096,
	BOOT_STATE_RECORDS = 2,
};

struct slot_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size;			/* sizeof(struct slot_header) */
	uint64_t kernel_offset;			/* SLOT_CONTENT */
	uint64_t kernel_size;
	uint64_t bundle_offset;			/* the page after the kernel */
	uint64_t bundle_size;
	uint64_t total_size;			/* header, content and padding */
	uint8_t content_hash[SLOT_HASH];	/* of SLOT_CONTENT up to total_size */
	char cmdline[SLOT_CMDLINE];		/* NUL padded, at least one NUL */
	char label[SLOT_LABEL];			/* for people: name and version of what is in it */
	uint8_t root_part_guid[16];		/* unique GUID of the root partition, or zeros */
	uint8_t reserved[56];			/* 0 */
	uint8_t header_hash[SLOT_HASH];		/* of all bytes above */
};
_Static_assert(sizeof(struct slot_header) == 512, "one sector on disk");

enum slot_state {
	SLOT_EMPTY = 0,		/* never tried */
	SLOT_GOOD = 1,		/* a system in it has reported health */
	SLOT_TRIAL = 2,		/* new: `tries` more boots to report health */
	SLOT_BAD = 3,		/* used its tries up; only rewriting it helps */
};

struct boot_state {
	uint64_t magic;
	uint32_t version;
	uint32_t preferred;			/* 0 = A, 1 = B: tried first */
	uint64_t sequence;
	struct {
		uint32_t state;			/* enum slot_state */
		uint32_t tries;			/* trial boots left */
	} slot[SLOT_COUNT];
	uint8_t reserved[440];			/* 0 */
	uint8_t hash[SLOT_HASH];		/* of all bytes above */
};
_Static_assert(sizeof(struct boot_state) == 512, "one sector on disk");

/*
 * Partition types, as the 16 bytes stand in a GPT entry:
 *   slot A      54455353-4f4c-5401-8000-000000000001
 *   slot B      54455353-4f4c-5401-8000-000000000002
 *   boot state  54455353-4f4c-5401-8000-000000000003
 */
#define SLOT_PARTITION_TYPE(n) { \
	0x53, 0x53, 0x45, 0x54, 0x4c, 0x4f, 0x01, 0x54, 0x80, 0, 0, 0, 0, 0, 0, (n) }
enum { PARTITION_SLOT_A = 1, PARTITION_SLOT_B = 2, PARTITION_BOOT_STATE = 3 };

#endif
