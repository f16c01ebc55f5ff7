/* SPDX-License-Identifier: MIT */
/*
 * The loader on the EFI system partition: \EFI\BOOT\BOOTAA64.EFI, which firmware
 * starts (UEFI 2.10 §3.5.1.1), and PREVIOUS.EFI beside it, the one before it.
 */
#ifndef TESSERA_SLOT_LOADER_H
#define TESSERA_SLOT_LOADER_H

#include "fat.h"

enum { LOADER_LIMIT = 8 << 20 };	/* bytes */

/* Would firmware start this as an application for this machine? */
bool loader_check(const void *file, uint64_t size, struct complaint *why);

enum loader_result {
	LOADER_SAME,		/* it is there already */
	LOADER_WRITTEN,		/* the one before it is PREVIOUS.EFI now */
	LOADER_WRITTEN_ALONE,	/* there was no room to keep the one before it */
};
/*
 * Checks the file, and writes it if another one is there.  Wherever power fails,
 * firmware finds the old one or the new one, whole.
 */
bool loader_write(struct area *esp, const void *file, uint64_t size, struct fat_time, enum loader_result *,
    struct complaint *why);

#endif
