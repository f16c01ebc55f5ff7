/* SPDX-License-Identifier: MIT */
/*
 * The NVMe driver: one controller, any number of block channels.  nvme(4).
 */
#include <tessera/runtime.h>
#include "nvme.h"

int
component_main(const struct component_info *info)
{
	static struct nvme controller;
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
	if (!block_server_start(&server, &nvme_operations, &controller, info, &dma) ||
	    !nvme_start(&controller, &server, &info->pci, &dma))
		return 1;
	return block_serve(&server);
}
