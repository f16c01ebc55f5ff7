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
#define WORLD_VERSION	2

/* The box.  RAM starts at WORLD_RAM_BASE; the image's PT_LOADs are linked at
 * and loaded to their p_paddr inside it; the rest of the RAM is the world's. */
#define WORLD_RAM_BASE		0x40000000ULL
#define WORLD_CHANNEL_BASE	0x10000000ULL	/* channel Frames are mapped from here on */
#define WORLD_ARCHIVE_BASE	0x20000000ULL	/* root archive, read only */

/* The world's CSpace. */
enum {
	WORLD_SLOT_CNODE = 1,		/* the CSpace itself, RIGHT_WRITE: to mint and delete lent ranges */
	WORLD_SLOT_POWER = 2,		/* Notification of init, badge WORLD_POWER_OFF */
	WORLD_SLOT_RESET = 3,		/* the same, badge for reset */
	WORLD_SLOT_CONSOLE_BELL = 4,	/* signal: console's doorbell for the tty channel */
	WORLD_SLOT_LOG_BELL = 5,	/* signal: console's doorbell for the log channel */
	WORLD_SLOT_CAPABILITIES = 6,	/* Notification of init: have the list made (proto/capabilities.h) */
	WORLD_SLOT_HEALTH = 7,		/* signal: this slot works (system.conf `health`); empty: nobody waits */
	WORLD_SLOT_SCHED_CONTEXT = 16,	/* + VCPU number, RIGHT_READ: consumed and stolen time */
	WORLD_SLOT_VCPU_SIGNAL = 48,	/* + VCPU number: signal its Notification, badge WORLD_BIT_KICK */
	WORLD_SLOT_VCPU_POLL = 80,	/* + VCPU number: poll the own Notification */
	WORLD_SLOT_CHANNEL_BELL = 112,	/* + number in world_info.channel: signal the other end */
	WORLD_SLOT_SPACE = 128,		/* + number in world_info.lend: IOSpace, badged with the window */
	WORLD_SLOT_RAM = 160,		/* + n: Frame of piece n of the RAM (world_info.piece) */
	WORLD_SLOT_FIRST_FREE = 256,	/* from here on the world's own: lent ranges of its RAM */
	/* 2^cnode_bits slots in all (world_info). */
	WORLD_CNODE_BITS = 8,		/* at least */
};

/* Bits of a VCPU's Notification.  Channel doorbells all ring VCPU 0. */
enum {
	WORLD_BIT_KICK		= 1 << 0,	/* another VCPU wants attention */
	WORLD_BIT_CONSOLE	= 1 << 1,	/* tty channel: data, space or news */
	WORLD_BIT_LOG		= 1 << 2,	/* log channel: space */
	WORLD_BIT_PEER		= 1 << 3,	/* a peer of a channel was restarted */
	WORLD_BIT_CHANNEL	= 1 << 8,	/* << number in world_info.channel: answers, space or news */
};

enum { WORLD_MAX_VCPUS = 16, WORLD_MAX_RAM = 8, WORLD_MAX_CHANNELS = 16, WORLD_MAX_LEND = 8,
	WORLD_MAX_PIECES = 48, WORLD_CMDLINE = 256 };

/*
 * Lending.  A page range of the RAM comes into a device's reach thus: mint_frame
 * it from its piece into a free slot, then frame_map_io it into the IOSpace of
 * WORLD_SLOT_SPACE + n at IO_WINDOW(window) + (ipa - WORLD_RAM_BASE).  Deleting
 * that capability withdraws it: when the call returns no DMA is in flight to it.
 */
struct world_lend {
	char driver[16];
	uint32_t window;
	uint32_t reserved;
};

/* CHANNEL_FS: its server, ->peer, reaches the part of a disk that this world names
 * (proto/block.h, BLOCK_BIND, on its channel of that disk), and nothing before. */
enum {
	WORLD_CHANNEL_BOUND = 1,
	WORLD_CHANNEL_BOOT_DEVICE = 2,		/* a disk: the loader took one of its device */
};

/* A file system or a disk: proto/fs.h, proto/block.h; the world is the client. */
struct world_channel {
	char name[16];
	char peer[16];
	uint64_t address;
	uint32_t size;
	uint32_t type;				/* enum channel_type: CHANNEL_BLOCK or CHANNEL_FS */
	uint32_t window;			/* of this world, see proto/component.h */
	uint32_t flags;				/* WORLD_CHANNEL_* */
};

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
	uint64_t kernel_ticks;			/* when the kernel was entered, init started ... */
	uint64_t init_ticks;
	uint64_t start_ticks;			/* ... and this life of the world was built */
	uint64_t vcpu_mpidr[WORLD_MAX_VCPUS];	/* physical, for information */
	char cmdline[WORLD_CMDLINE];
	char hostname[64];
	uint32_t channel_count, lend_count, piece_count, cnode_bits;
	struct world_channel channel[WORLD_MAX_CHANNELS];
	struct world_lend lend[WORLD_MAX_LEND];
	struct world_range piece[WORLD_MAX_PIECES];	/* what each RAM Frame covers, in IPAs */
	uint8_t root_part[16];			/* GUID of the root partition; zeros: none */
	uint64_t usage;				/* USAGE_PAGEs of proto/usage.h, read only; 0: not allowed */
	uint32_t usage_count, reserved;
	/* The slot that the loader took (slot(5)); zeros as GUID: from no disk. */
	uint8_t boot_disk[16];			/* GUID of the disk that it lies on */
	uint32_t boot_slot, boot_trial;		/* 0: A, 1: B; 1: the slot's trial boot */
	uint64_t capabilities;			/* CAPABILITIES_BYTES, read only; 0: not allowed */
};

#endif
