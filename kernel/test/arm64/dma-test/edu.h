/* SPDX-License-Identifier: MIT */
/*
 * QEMU's teaching device "edu" (docs/specs/edu.txt): a buffer of 4 KiB, a DMA
 * engine between it and memory, and one MSI.
 */
#ifndef EDU_H
#define EDU_H

#include "support.h"
#include <tessera/bootinfo.h>

enum { EDU_BYTES = 2048 };	/* moved at a time: its check refuses the whole buffer */

struct edu {
	volatile uint8_t *registers;
	volatile uint8_t *config;	/* PCI configuration space of the function */
	uint32_t rid;
	struct boot_stream stream;	/* the entry of bootinfo that covers it */
};

/* Find it on bus 0 and switch it on, bus mastering too. */
bool edu_find(struct edu *e);

/* Move bytes between its buffer and the address that it sees; false: it never ended. */
bool edu_write_memory(struct edu *e, uint64_t iova, unsigned bytes);
bool edu_read_memory(struct edu *e, uint64_t iova, unsigned bytes);
void edu_start_write(struct edu *e, uint64_t iova, unsigned bytes);
bool edu_finish(struct edu *e);

/* Its message: where it goes, and send it now. */
bool edu_set_message(struct edu *e, uint64_t address, uint32_t data);
void edu_send_message(struct edu *e);

uint64_t ms_from_now(uint64_t n);
void sleep_ms(uint64_t n);
void *map_device(uint64_t base, unsigned size_bits);

#endif
