/* SPDX-License-Identifier: MIT */
/*
 * The virtio-blk driver: one device, any number of block channels.  virtio-blk(4).
 */
#include <tessera/runtime.h>
#include "blk.h"

int
component_main(const struct component_info *info)
{
	static struct blk device;
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
	if (!block_server_start(&server, &blk_operations, &device, info, &dma) ||
	    !blk_start(&device, &server, &info->pci, &dma))
		return 1;
	return block_serve(&server);
}
