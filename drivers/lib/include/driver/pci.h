/* SPDX-License-Identifier: MIT */
/*
 * A PCI function as a driver has it (struct component_pci): its BARs, its message interrupts,
 * and its reach into memory.
 */
#ifndef DRIVER_PCI_H
#define DRIVER_PCI_H

#include <stdbool.h>
#include <stdint.h>
#include <proto/component.h>

/* The registers of a BAR, at least `bytes` of them; 0: there is no such BAR, or a smaller one. */
uintptr_t pci_bar(const struct component_pci *pci, unsigned bar, uint64_t bytes);

/*
 * Write the MSI-X table: vectors below pci->irq_count lead to the driver's bell, the table is
 * unmasked for them (PCI 3.0 §6.8.2).  False: there is no table where it should be.
 */
bool pci_msix_start(const struct component_pci *pci);

/* How many message interrupts there are; 0: poll. */
static inline unsigned
pci_vectors(const struct component_pci *pci)
{
	return pci->irq_slot != 0 ? pci->irq_count : 0;
}

/* Which vectors the bits of a bell mean, bit per vector. */
uint64_t pci_vectors_of(const struct component_pci *pci, uint64_t bits);

/*
 * Let the device reach the IOSpace.  Only after it was brought to a state in which no
 * old command can complete.  False: the kernel refuses; said in the log.
 */
bool pci_bind(const struct component_pci *pci);

/* Take all memory out of the device's reach: when this returns, no DMA is in flight. */
void pci_unbind(const struct component_pci *pci);

/* Let the interrupts of these vectors come again. */
void pci_irq_ack(const struct component_pci *pci, uint64_t vectors);

#endif
