/* SPDX-License-Identifier: MIT */
/*
 * What init hands to a personality (a Linux world) at its start: struct
 * world_info, in its box at the intermediate physical address in x0 of every
 * VCPU thread; x1 is the number of the VCPU (0..vcpu_count-1).  All VCPUs start
 * at the ELF entry of the personality's image, at EL1, MMU and caches off,
 * interrupts masked.  Everything that init wrote was cleaned to the point of
 * coherency.  The manual is world(5).
 *
 * All addresses are intermediate physical addresses (IPA) of the box.
 */
#ifndef PROTO_WORLD_H
#define PROTO_WORLD_H

#include <stdint.h>

#define WORLD_MAGIC	0x444c524f57535354ULL
#define WORLD_VERSION	1

/* The box.  RAM starts at WORLD_RAM_BASE; the image's PT_LOADs are linked at
 * and loaded to their p_paddr inside it; the rest of the RAM is the world's. */
#define WORLD_RAM_BASE		0x40000000ULL
#define WORLD_CHANNEL_BASE	0x10000000ULL	/* channel Frames are mapped from here on */
#define WORLD_ARCHIVE_BASE	0x20000000ULL	/* root archive, read only */

/* The world's CSpace. */
enum {
	WORLD_SLOT_POWER = 2,		/* Notification of init, badge WORLD_POWER_OFF */
	WORLD_SLOT_RESET = 3,		/* the same, badge for reset */
	WORLD_SLOT_CONSOLE_BELL = 4,	/* signal: console's doorbell for the tty channel */
	WORLD_SLOT_LOG_BELL = 5,	/* signal: console's doorbell for the log channel */
	WORLD_SLOT_SCHED_CONTEXT = 16,	/* + VCPU number, RIGHT_READ: consumed and stolen time */
	WORLD_SLOT_VCPU_SIGNAL = 48,	/* + VCPU number: signal its Notification, badge WORLD_BIT_KICK */
	WORLD_SLOT_VCPU_POLL = 80,	/* + VCPU number: poll the own Notification */
	WORLD_CNODE_BITS = 8,
};

/* Bits of a VCPU's Notification.  Channel doorbells all ring VCPU 0. */
enum {
	WORLD_BIT_KICK		= 1 << 0,	/* another VCPU wants attention */
	WORLD_BIT_CONSOLE	= 1 << 1,	/* tty channel: data, space or news */
	WORLD_BIT_LOG		= 1 << 2,	/* log channel: space */
	WORLD_BIT_PEER		= 1 << 3,	/* a peer of a channel was restarted */
};

enum { WORLD_MAX_VCPUS = 16, WORLD_MAX_RAM = 8, WORLD_CMDLINE = 256 };

struct world_range {
	uint64_t base;
	uint64_t size;
};

struct world_info {
	uint64_t magic;
	uint32_t version;
	uint32_t vcpu_count;
	uint32_t ram_count;
	uint32_t timer_hz;
	struct world_range ram[WORLD_MAX_RAM];	/* 2 MiB aligned */
	struct world_range image;		/* the personality itself, inside ram[0] */
	struct world_range info;		/* this record's pages, inside ram[0] */
	struct world_range archive;		/* root file system, cpio "newc"; size 0: none */
	uint64_t console;			/* struct stream (proto/stream.h): the world is the client; 0: none */
	uint64_t log;				/* struct stream: the world's log, client to server only; 0: none */
	uint64_t wall_time_ns;			/* at wall_time_ticks; 0: not known */
	uint64_t wall_time_ticks;
	uint8_t seed[64];
	uint32_t seed_bytes;
	uint32_t coherent;			/* reserved, 1 */
	uint64_t boot_ticks;			/* counter at the loader's start: uptime counts from here */
	uint64_t vcpu_mpidr[WORLD_MAX_VCPUS];	/* physical, for information */
	char cmdline[WORLD_CMDLINE];
	char hostname[64];
};

#endif
