/* SPDX-License-Identifier: MIT */
/*
 * Checks and choices about boot slots and the boot state (tessera/slot.h),
 * and the partition table that leads to them.  Shared by the loader and the
 * host tools; nothing here reads a disk.
 */
#ifndef BOOT_SLOTS_H
#define BOOT_SLOTS_H

#include <tessera/slot.h>

#include "text.h"

/* Sets the header's hash over its other fields; the last thing before writing. */
void slot_seal(struct slot_header *header);
bool slot_check(const struct slot_header *header, uint64_t partition_bytes, struct complaint *why);
/* kernel and bundle: the content as read, each with its padding. */
bool slot_check_content(const struct slot_header *header, const void *kernel, const void *bundle,
    struct complaint *why);
uint64_t slot_pages(uint64_t size);

void boot_state_seal(struct boot_state *state);
bool boot_state_valid(const struct boot_state *record);
/*
 * The record that counts.  *spare becomes the index of the one to overwrite
 * next.  False if neither is valid: *state is then the default, A before B,
 * both taken for good.
 */
bool boot_state_current(const struct boot_state record[BOOT_STATE_RECORDS],
    struct boot_state *state, unsigned *spare);
/* Which slots to try, in order; returns how many. */
unsigned boot_state_order(const struct boot_state *state, unsigned order[SLOT_COUNT]);
/*
 * Counts a boot of the slot.  True if the state changed and must be written
 * before the boot goes on: a trial that has no tries left becomes bad once it
 * was tried, so the slot's last try runs under SLOT_TRIAL with tries 0.
 */
bool boot_state_count(struct boot_state *state, unsigned slot);

enum { GPT_HEADER = 512, GPT_ENTRIES_LIMIT = 1024 };
struct gpt {
	uint64_t entries_block;
	uint32_t entry_count;
	uint32_t entry_size;
	uint32_t entries_crc;
	uint64_t first_block, last_block;	/* usable */
	uint8_t disk_guid[16];
};
/* UEFI 2.10 5.3.2; block: what was read from block `at`. */
bool gpt_header(const uint8_t *block, uint64_t at, uint64_t disk_blocks, struct gpt *gpt,
    struct complaint *why);
bool gpt_entries(const struct gpt *gpt, const uint8_t *entries, struct complaint *why);
/* The n-th partition of this type (from 0); its first block and their number. */
bool gpt_find(const struct gpt *gpt, const uint8_t *entries, const uint8_t type[16], unsigned n,
    uint64_t *first, uint64_t *blocks);

#endif
