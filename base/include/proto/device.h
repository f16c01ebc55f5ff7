/* SPDX-License-Identifier: MIT */
/*
 * What devmgr tells init about the machine, version 1.  devmgr calls init's
 * supervisor endpoint (COMPONENT_SLOT_SUPERVISOR).  Manual: device(5).
 *
 *   call            sends (words)                      answers
 *   DEVICE_FOUND    struct device_found in the IPC     word 0: enum device_answer
 *                   buffer, words 0.. in order
 *   DEVICE_DONE     -                                  -: init starts drivers whose device
 *                                                      was found and gives the others up
 *   DEVICE_ENABLED  word 0: segment << 16 | rid        -: memory space, bus master and
 *                                                      MSI-X of a granted device are on
 *
 * init believes none of it beyond what it can check: windows of the ECAMs that
 * the loader named, no overlap with memory, the kernel's devices or another
 * grant, streams that bootinfo maps.  A devmgr that starts again says the same
 * again; what was granted stays granted, and a device that moved is refused.
 * All DMA of a device is refused by the SMMU until its driver binds its
 * IODevice, so that devmgr may switch bus mastering on before.
 */
#ifndef PROTO_DEVICE_H
#define PROTO_DEVICE_H

#include <stdint.h>

enum { DEVICE_FOUND = 16, DEVICE_DONE = 17, DEVICE_ENABLED = 18 };	/* labels */

enum device_answer {
	DEVICE_NOBODYS = 0,	/* leave it switched off */
	DEVICE_GRANTED = 1,	/* switch it on, then DEVICE_ENABLED */
	DEVICE_REFUSED = 2,	/* something in it is not true; init's log says what */
};

enum { DEVICE_BARS = 6 };

struct device_bar {
	uint64_t base;		/* CPU physical address */
	uint64_t size;		/* bytes; 0: there is none */
};

struct device_found {
	uint16_t segment, rid;
	uint16_t vendor, device;
	uint32_t class_code;	/* 0xCCSSPP */
	uint32_t subsystem;	/* vendor | device << 16 */
	uint32_t msix_vectors;	/* 0: no MSI-X */
	uint32_t msix_bar;	/* of the table */
	uint32_t msix_offset;
	uint32_t reserved;
	struct device_bar bar[DEVICE_BARS];
	/* Vendor capabilities of a modern virtio device: where in which BAR
	 * (virtio 1.1 §4.1.4), in the order common, notify, isr, device; length 0: none. */
	struct {
		uint32_t bar, offset, length, multiplier;
	} virtio[4];
};
/*
 * What devmgr knows of the PCI hosts: struct device_hosts, read only, at
 * COMPONENT_HOSTS_VADDR.  Each host's configuration space is mapped whole
 * (PCI Express Base 4.0 §7.2.2: 4 KiB for each function, from bus_first on).
 */
struct device_window {
	uint64_t base, size;		/* CPU physical; size 0: there is none */
	uint64_t bus;			/* the address on the bus of base */
};
struct device_host {
	uint64_t config;		/* virtual address of devmgr */
	uint32_t segment;
	uint8_t bus_first, bus_last;
	uint16_t reserved;
	struct device_window mem32, mem64;
};
enum { DEVICE_MAX_HOSTS = 16 };
struct device_hosts {
	uint32_t count, reserved;
	struct device_host host[DEVICE_MAX_HOSTS];
};

_Static_assert(sizeof(struct device_found) % 8 == 0, "travels as words");
_Static_assert(sizeof(struct device_found) <= 120 * 8, "one message");

#endif
