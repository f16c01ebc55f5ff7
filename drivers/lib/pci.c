/* SPDX-License-Identifier: MIT */
/*
 * BARs and the MSI-X table of the driver's own PCI function.
 */
#include <driver/mmio.h>
#include <driver/pci.h>

enum { ENTRY_BYTES = 16, ENTRY_ADDRESS = 0, ENTRY_ADDRESS_HIGH = 4, ENTRY_DATA = 8, ENTRY_CONTROL = 12 };

uintptr_t
pci_bar(const struct component_pci *pci, unsigned bar, uint64_t bytes)
{
	if (bar >= sizeof pci->bar / sizeof *pci->bar || pci->bar[bar].size < bytes || pci->bar[bar].size == 0)
		return 0;
	return pci->bar[bar].address;
}

bool
pci_msix_start(const struct component_pci *pci)
{
	unsigned n = pci_vectors(pci);
	uintptr_t entry;

	if (n == 0)
		return true;
	entry = pci_bar(pci, pci->msix_table_bar, (uint64_t)pci->msix_table_offset + n * ENTRY_BYTES);
	if (entry == 0)
		return false;
	entry += pci->msix_table_offset;
	for (unsigned v = 0; v < n; v++, entry += ENTRY_BYTES) {
		mmio_write32(entry + ENTRY_ADDRESS, (uint32_t)pci->msi_address);
		mmio_write32(entry + ENTRY_ADDRESS_HIGH, (uint32_t)(pci->msi_address >> 32));
		mmio_write32(entry + ENTRY_DATA, pci->msi_data + v);
		mmio_write32(entry + ENTRY_CONTROL, 0);
	}
	return true;
}

uint64_t
pci_vectors_of(const struct component_pci *pci, uint64_t bits)
{
	uint64_t vectors = 0;

	for (unsigned v = 0; v < pci_vectors(pci); v++)
		if ((bits & pci->irq_bit << v) != 0)
			vectors |= 1ULL << v;
	return vectors;
}
