/* SPDX-License-Identifier: MIT */
/*
 * What a function may do.  Registers are written only where that changes
 * something: a devmgr that starts again goes over devices that are in use.
 */
#include "pci.h"

enum { MSI_ENABLE = 0x10000, MSIX_ENABLE = 0x80000000, MSIX_MASK_ALL = 0x40000000 };

/* The status half takes ones as "clear": zeros go there. */
static void
set_command(const struct pci *pci, const struct pci_function *f, uint32_t on, uint32_t off)
{
	uint32_t old = pci_read(pci, f, PCI_COMMAND) & COMMAND_MASK;
	uint32_t new = (old | on) & ~off;

	if (new != old)
		pci_write(pci, f, PCI_COMMAND, new);
}

static void
set_bits(const struct pci *pci, const struct pci_function *f, unsigned at, uint32_t on, uint32_t off)
{
	uint32_t old = pci_read(pci, f, at), new = (old | on) & ~off;

	if (new != old)
		pci_write(pci, f, at, new);
}

void
pci_switch_on(struct pci *pci, struct pci_function *f)
{
	for (int i = f->parent; i != PCI_NO_BRIDGE; i = pci->function[i].parent)
		set_command(pci, &pci->function[i], COMMAND_MEMORY | COMMAND_MASTER, 0);
	if (f->msi != 0)
		set_bits(pci, f, f->msi, 0, MSI_ENABLE);
	if (f->msix != 0)
		set_bits(pci, f, f->msix, MSIX_ENABLE, MSIX_MASK_ALL);
	set_command(pci, f, COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF, COMMAND_IO);
}

void
pci_switch_off(struct pci *pci, struct pci_function *f)
{
	set_command(pci, f, 0, COMMAND_MASTER);
	if (f->msi != 0)
		set_bits(pci, f, f->msi, 0, MSI_ENABLE);
	if (f->msix != 0)
		set_bits(pci, f, f->msix, 0, MSIX_ENABLE);
}
