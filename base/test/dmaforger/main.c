/* SPDX-License-Identifier: MIT */
/*
 * A hostile driver of an NVMe controller (issue 3, done when 2): it tells its
 * device to write all over memory that is not its own.  First it shows that the
 * device obeys: what it identifies itself with arrives in the driver's own
 * memory.  Then the same command gets addresses of all of the machine's memory,
 * of windows that nobody lent, and of nothing at all; at the end the
 * controller's queues themselves lie outside.  It also tries to keep init from
 * hearing of it.
 *
 * args: ADDRESS FIRST STEP COUNT, hexadecimal: aims at COUNT addresses from
 * FIRST on, after one at ADDRESS, each STEP behind the other.
 * Its last line is "dmaforger: done".
 */
#include <driver/mmio.h>
#include <tessera/runtime.h>
#include <tessera/stubs.h>

enum { CAP = 0x00, CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
enum { ENABLE = 1, READY = 1, FATAL = 2, ENTRIES = 16, CC_SIZES = 6 << 16 | 4 << 20 };
enum { IDENTIFY = 6, CONTROLLER = 1, PAGE = 4096 };
enum { ARG_ADDRESS, ARG_FIRST, ARG_STEP, ARG_COUNT, ARGS };

struct command {
	uint32_t opcode_cid, nsid;
	uint64_t reserved[2];
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
struct completion {
	uint32_t result, reserved, sq, status;	/* status: phase in bit 16 */
};

/* The driver's own memory: submissions, completions, one page of data. */
static volatile struct command *submissions;
static volatile struct completion *completions;
static volatile uint64_t *data;
static uint64_t own_io;
static uintptr_t registers;
static unsigned tail, head, phase;

static void
write64(unsigned at, uint64_t value)
{
	mmio_write32(registers + at, (uint32_t)value);
	mmio_write32(registers + at + 4, (uint32_t)(value >> 32));
}

static void
pause_ms(unsigned ms)
{
	uint64_t end = time_ticks() + time_ticks_of_ns((uint64_t)ms * 1000000);

	while (time_ticks() < end)
		bell_wait(end);
}

static bool
wait_status(uint32_t mask, uint32_t value)
{
	for (unsigned i = 0; i < 5000; i++) {
		if ((mmio_read32(registers + CSTS) & mask) == value)
			return true;
		pause_ms(1);
	}
	return false;
}

static bool
start(uint64_t submission, uint64_t completion)
{
	mmio_write32(registers + CC, 0);
	if (!wait_status(READY, 0))
		return false;
	mmio_write32(registers + AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	write64(ASQ, submission);
	write64(ACQ, completion);
	tail = head = 0;
	phase = 1;
	mmio_write32(registers + CC, CC_SIZES | ENABLE);
	return wait_status(READY, READY);
}

/* One Identify with its data at prp.  false: it was not answered. */
static bool
identify(uint64_t prp)
{
	volatile struct command *c = &submissions[tail];

	c->opcode_cid = IDENTIFY | tail << 16;
	c->nsid = 0;
	c->prp1 = prp;
	c->prp2 = 0;
	c->cdw10 = CONTROLLER;
	tail = (tail + 1) % ENTRIES;
	__asm__ volatile("dsb sy" ::: "memory");
	mmio_write32(registers + DOORBELLS, tail);
	for (unsigned i = 0; i < 200; i++) {
		if ((completions[head].status >> 16 & 1) == phase) {
			head = (head + 1) % ENTRIES;
			phase ^= head == 0;
			mmio_write32(registers + DOORBELLS + 4, head);
			return true;
		}
		pause_ms(1);
	}
	return false;
}

static void
read_args(const char *text, uint64_t *values)
{
	for (unsigned i = 0; i < ARGS && *text != '\0'; i++) {
		for (values[i] = 0; *text != ' ' && *text != '\0'; text++)
			values[i] = values[i] << 4 | (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
		while (*text == ' ')
			text++;
	}
}

/* Aim at a list of addresses; how many commands were answered at all. */
static unsigned
aim(const uint64_t args[ARGS])
{
	unsigned answered = identify(args[ARG_ADDRESS]);

	for (uint64_t i = 0; i < args[ARG_COUNT]; i++) {
		if (mmio_read32(registers + CSTS) & FATAL)
			start(own_io, own_io + PAGE);
		answered += identify(args[ARG_FIRST] + i * args[ARG_STEP]);
	}
	return answered;
}

int
component_main(const struct component_info *info)
{
	const struct component_pci *pci = &info->pci;
	uint64_t args[ARGS] = { 0 };

	if (pci->device_slot == 0 || info->dma_size < 3 * PAGE || pci->bar[0].size < 0x2000) {
		log_line(LOG_WARNING "dmaforger: no device");
		return 1;
	}
	read_args(info->args, args);
	registers = (uintptr_t)pci->bar[0].address;
	submissions = (volatile struct command *)info->dma_address;
	completions = (volatile struct completion *)(info->dma_address + PAGE);
	data = (volatile uint64_t *)(info->dma_address + 2 * PAGE);
	own_io = info->dma_io;

	/* before it is bound it reaches nothing, not even the driver's own memory */
	start(own_io, own_io + PAGE);
	identify(own_io + 2 * PAGE);
	log_line("dmaforger: unbound, the device wrote %s", data[0] == 0 ? "nothing" : "into our memory");
	mmio_write32(registers + CC, 0);
	wait_status(READY, 0);
	if (io_device_bind(pci->device_slot, pci->space_slot) != OK ||
	    !start(own_io, own_io + PAGE) || !identify(own_io + 2 * PAGE) || data[0] == 0) {
		log_line(LOG_WARNING "dmaforger: the device does not obey");
		return 1;
	}
	log_line("dmaforger: the device obeys");
	/* what a driver holds does not silence what init hears of its device */
	log_line("dmaforger: fault reports %s be switched off",
	    io_device_bind_fault(pci->device_slot, 0) == ERR_RIGHTS ? "cannot" : "can");
	log_line("dmaforger: %u commands answered", aim(args));
	start(args[ARG_FIRST], args[ARG_FIRST] + PAGE);
	mmio_write32(registers + DOORBELLS, 1);
	pause_ms(100);
	log_line("dmaforger: queues outside, the controller %s",
	    mmio_read32(registers + CSTS) & FATAL ? "gave up" : "goes on");
	log_line("dmaforger: done");
	return 0;
}
