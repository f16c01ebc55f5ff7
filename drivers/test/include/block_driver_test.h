/* SPDX-License-Identifier: MIT */
/*
 * What the tests of a driver behind the block server share beyond block_test.h: the kernel's
 * side of its device, its event loop, and time that passes.
 *
 * The including test defines, beside what block_test.h asks for,
 *	bool model_runs(void)		the device may still reach memory: it must not be bound now
 * starts `server` in driver_birth, and says before it includes this
 *	LOOKS				turns of the event loop in a second without events
 *	ROUND_TURNS, ROUND_SECONDS	run_with_time_outs: turns, then seconds, of each round
 */
#ifndef BLOCK_DRIVER_TEST_H
#define BLOCK_DRIVER_TEST_H

#include <block_test.h>
#include <driver/pci.h>

static bool model_runs(void);

static struct block_server server;
static bool device_bound;		/* its DMA reaches memory */

bool
pci_bind(const struct component_pci *pci)
{
	(void)pci;
	if (model_runs())
		violation("bound while the device runs");
	device_bound = true;
	return true;
}

void pci_unbind(const struct component_pci *pci) { (void)pci; device_bound = false; }
void pci_irq_ack(const struct component_pci *pci, uint64_t vectors) { (void)pci; (void)vectors; }

/* Memory as the device sees it; what it may not reach is a violation, and nowhere. */
static inline uint8_t *
reach(uint64_t io, uint64_t bytes)
{
	static uint8_t nowhere[DISK_BYTES];
	uint8_t *p;

	if (!device_bound) {
		violation("DMA before the device was bound");
		return nowhere;
	}
	p = memory_at(io, bytes);
	return p != NULL ? p : nowhere;
}

static void
driver_turn(uint64_t bits)
{
	const struct block_operations *op = server.op;
	void *device = server.device;

	op->interrupt(device, bits);
	for (unsigned i = 0; i < 1000; i++) {
		op->poll(device);
		if (!block_server_move(&server) && block_server_rest(&server) && op->rest(device))
			return;
	}
	violation("the driver never rests");
}

/* Whole seconds pass with nothing but the driver and the device looking at each other. */
static void
seconds(unsigned n)
{
	for (unsigned i = 0; i < n * LOOKS; i++) {
		world.now += 1000000000 / LOOKS;
		everybody_once();
	}
}

static bool
run_with_time_outs(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		if (run_to_end(ROUND_TURNS))
			return true;
		seconds(ROUND_SECONDS);
	}
	return false;
}

#endif
