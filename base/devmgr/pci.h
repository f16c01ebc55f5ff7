/* SPDX-License-Identifier: MIT */
/*
 * PCI Express enumeration (PCI Express Base 4.0 §7.5, PCI-to-PCI Bridge 1.2
 * §3.2): buses, functions, capabilities, BARs.  Pure but for config_read and
 * config_write: the build host tests it against a model of configuration space.
 *
 *   scan.c      buses and bridges, functions, capabilities
 *   bar.c       what size BARs have, and a memory of it across restarts
 *   assign.c    where BARs and bridge windows lie
 *   switch.c    what a function may do: nothing, or all that a driver needs
 *   config.c    ECAM accesses                              (not on the host)
 *   main.c      the conversation with init                 (not on the host)
 *
 * A device is a peer like any other: what its registers say is bounded before
 * it is used, and nonsense costs that function and no other.
 */
#ifndef DEVMGR_PCI_H
#define DEVMGR_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <proto/device.h>

enum {
	PCI_MAX_FUNCTIONS = 256,
	PCI_MAX_DEPTH = 16,		/* bridges behind one another */
	PCI_NO_BRIDGE = -1,
	PAGE = 4096,
};

/* Registers, as offsets of the 32-bit words that are read and written. */
enum {
	PCI_ID = 0x00, PCI_COMMAND = 0x04, PCI_CLASS = 0x08, PCI_HEADER = 0x0c,
	PCI_BAR0 = 0x10, PCI_BUSES = 0x18, PCI_MEMORY_WINDOW = 0x20, PCI_PREFETCH_WINDOW = 0x24,
	PCI_PREFETCH_BASE_HIGH = 0x28, PCI_PREFETCH_LIMIT_HIGH = 0x2c, PCI_SUBSYSTEM = 0x2c,
	PCI_CAPABILITIES = 0x34,
};
/* Command register; the other half of that word is status, write one to clear. */
enum {
	COMMAND_IO = 1, COMMAND_MEMORY = 2, COMMAND_MASTER = 4, COMMAND_INTX_OFF = 0x400,
	COMMAND_MASK = 0xffff, STATUS_CAPABILITIES = 0x100000,
};
enum { CAP_MSI = 0x05, CAP_VENDOR = 0x09, CAP_MSIX = 0x11 };

struct pci_range {
	uint64_t base, size;		/* CPU physical addresses; size 0: none */
};

/* One ECAM; the windows are struct device_host's. */
struct pci_host {
	const struct device_host *facts;
};

struct pci_bar {
	uint64_t base, size;		/* size 0: none, or not memory */
	bool wide;			/* 64 bits */
	bool assigned;
};

struct pci_function {
	uint8_t host;
	bool bridge;			/* header type 1 */
	bool broken;			/* its registers make no sense, or it found no place */
	uint16_t rid;
	int parent;			/* index of the bridge that leads here, or PCI_NO_BRIDGE */
	uint16_t vendor, device;
	uint32_t class_code, subsystem;
	struct pci_bar bar[DEVICE_BARS];
	uint8_t msi, msix;		/* places of the capabilities; 0: none */
	uint32_t msix_vectors, msix_bar, msix_offset;
	struct { uint32_t bar, offset, length, multiplier; } virtio[4];
	/* bridges */
	uint8_t secondary, subordinate;	/* 0: closed */
	struct pci_range memory, prefetch;
};

/*
 * What outlives devmgr: sizes of BARs, since finding them out disturbs a device
 * that a driver uses; and what was begun and is to be
 * put back: the one BAR that is being sized, the bridge that is being opened.
 */
struct pci_keep {
	uint32_t magic;
	uint32_t count;
	struct {
		volatile uint32_t busy;	/* 1: decoding is off; 2: and a BAR holds ones */
		uint16_t rid;
		uint8_t host, bar;
		uint32_t low, high, command;
	} sizing;
	struct {
		volatile uint32_t busy;
		uint16_t rid;
		uint8_t host, reserved;
	} opening;			/* the bridge that has all bus numbers while it is looked through */
	struct pci_keep_sizes {
		uint16_t rid;
		uint8_t host;
		uint8_t bits[DEVICE_BARS];	/* log2; 0: none; bits[0] 255: the function is broken */
		uint8_t wide;			/* bit per BAR */
	} sizes[PCI_MAX_FUNCTIONS];
};
_Static_assert(sizeof(struct pci_keep) <= PAGE, "one page");

struct pci {
	struct pci_keep *keep;
	unsigned host_count;
	struct pci_host host[DEVICE_MAX_HOSTS];
	unsigned count;
	struct pci_function function[PCI_MAX_FUNCTIONS];
	bool full;			/* there were more functions than that */
};

/* 32-bit accesses to configuration space: config.c, or a model. */
uint32_t config_read(const struct pci_host *host, uint16_t rid, unsigned at);
void config_write(const struct pci_host *host, uint16_t rid, unsigned at, uint32_t value);

/*
 * Find everything, give what has no place one, leave everybody's command
 * register as it was but for bus mastering, which is off unless the function
 * was found on before by this same keep.
 */
void pci_enumerate(struct pci *pci, const struct device_hosts *hosts, struct pci_keep *keep);

/* A granted function: memory space, bus master, MSI-X on; INTx and MSI off; the
 * bridges that lead to it pass on what it needs. */
void pci_switch_on(struct pci *pci, struct pci_function *f);
/* Somebody's no more or nobody's: no bus mastering, no messages. */
void pci_switch_off(struct pci *pci, struct pci_function *f);

/* What init is told.  false: of this function it is told nothing. */
bool pci_describe(const struct pci *pci, const struct pci_function *f, struct device_found *found);

/* ---- between the files --------------------------------------------------- */

void pci_scan(struct pci *pci);
void pci_keep_recover(struct pci *pci);	/* undo what a devmgr that died had begun */
void pci_bars_size(struct pci *pci, struct pci_function *f);
/* For this and all later lives. */
void pci_bars_break(struct pci *pci, struct pci_function *f);
void pci_assign(struct pci *pci);

static inline const struct pci_host *
pci_host_of(const struct pci *pci, const struct pci_function *f)
{
	return &pci->host[f->host];
}

static inline uint32_t
pci_read(const struct pci *pci, const struct pci_function *f, unsigned at)
{
	return config_read(pci_host_of(pci, f), f->rid, at);
}

static inline void
pci_write(const struct pci *pci, const struct pci_function *f, unsigned at, uint32_t value)
{
	config_write(pci_host_of(pci, f), f->rid, at, value);
}

#endif
