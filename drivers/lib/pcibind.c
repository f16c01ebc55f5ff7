/* SPDX-License-Identifier: MIT */
/*
 * What a driver asks of the kernel for its PCI function.
 */
#include <driver/pci.h>
#include <tessera/runtime.h>
#include <tessera/stubs.h>

bool
pci_bind(const struct component_pci *pci)
{
	enum error error = io_device_bind(pci->device_slot, pci->space_slot);

	if (error != OK)
		log_line(LOG_WARNING "%s: the device gets no IOSpace (error %d)", pci->name, (int)error);
	return error == OK;
}

void
pci_unbind(const struct component_pci *pci)
{
	(void)io_device_bind(pci->device_slot, 0);
}

void
pci_irq_ack(const struct component_pci *pci, uint64_t vectors)
{
	for (unsigned v = 0; vectors != 0; v++, vectors >>= 1)
		if ((vectors & 1) != 0)
			(void)irq_handler_ack(pci->irq_slot + v);
}
