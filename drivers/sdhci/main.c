/* SPDX-License-Identifier: MIT */
/*
 * The SDHCI driver: one slot, any number of block channels.  sdhci(4).
 */
#include <tessera/runtime.h>
#include "sdhci.h"

int
component_main(const struct component_info *info)
{
	static struct sdhci host;
	static struct sd_card card;
	static struct block_server server;
	static struct dma_region dma;

	dma = (struct dma_region){
		.cpu = (uint8_t *)info->dma_address, .io = info->dma_io, .size = info->dma_size,
		.coherent = info->pci.coherent != 0,
	};
	if (info->pci.device_slot == 0) {
		log_line(LOG_WARNING "was given no PCI function");
		return 1;
	}
	if (!block_server_start(&server, &sd_operations, &card, info, &dma) ||
	    !sdhci_start(&host, &info->pci, &dma) ||
	    !sd_start(&card, &server, &sdhci_operations, &host, &host.facts, &dma))
		return 1;
	return block_serve(&server);
}
