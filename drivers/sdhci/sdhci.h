/* SPDX-License-Identifier: MIT */
/*
 * The SDHCI driver's controller: SD Host Controller Simplified Specification 3.00 with
 * 64-bit ADMA2, as operations for sd.h.  sdhci(4).
 */
#ifndef SDHCI_H
#define SDHCI_H

#include <driver/pci.h>
#include "sd.h"

enum {
	SDHCI_SEGMENTS = 64,
	SDHCI_SEGMENT_BYTES = 32768,	/* a descriptor's length has 16 bits, and 0 means 65536 */
	SDHCI_MAX_BYTES = 512 * 1024,
	SDHCI_DESCRIPTOR_BYTES = 12,	/* 96-bit descriptors, §1.13.4 */
	SDHCI_RESET_READS = 100000,
	SDHCI_CLOCK_READS = 100000,
	SDHCI_COMMAND_MS = 3000,	/* the controller's own time-outs come earlier */
	SDHCI_DATA_MS = 10000,
};

struct sdhci {
	const struct component_pci *pci;
	uintptr_t base;
	struct dma_region *dma;
	unsigned version;		/* 0: 1.00, 1: 2.00, 2: 3.00 */
	uint32_t base_hz;
	uint8_t *table;			/* of descriptors */
	uint64_t table_io;
	uint32_t pending;		/* causes of interrupts that are still awaited */
	bool long_response;
	uint64_t deadline;
	struct sd_host_facts facts;
};

extern const struct sd_host_operations sdhci_operations;

/*
 * Find the registers, reset the controller, bind the device to its IOSpace, see what it can.
 * False: it cannot be used; said in the log.
 */
bool sdhci_start(struct sdhci *h, const struct component_pci *pci, struct dma_region *dma);

#endif
