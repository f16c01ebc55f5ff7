/* SPDX-License-Identifier: MIT */
/*
 * What init hands to a component at its start: struct component_info, one page
 * in its address space whose address is in x0 of its first thread; sp is set
 * to the top of its stack, TPIDRRO_EL0 to its IPC buffer.  The page is read
 * only.  (A personality gets struct world_info instead: proto/world.h.)
 *
 * All addresses are virtual addresses of the component.
 *
 * Doorbells.  A component has one Notification, COMPONENT_SLOT_BELL.  Every
 * channel has a bit in it (`bit`), and so has every interrupt line; each peer
 * holds a capability that can raise exactly its channel's bit.
 * COMPONENT_BIT_PEER says that a peer of some channel was built anew: whoever
 * sees it looks at all of its rings again and rings the bells of their other
 * ends, since the old peer may have died between two steps.
 *
 * The supervisor endpoint takes the messages below; faults of the component
 * arrive at the same place by themselves.
 *
 *   call             sends           answers
 *   COMPONENT_EXIT   word 0: status  nothing: the component is revoked
 */
#ifndef PROTO_COMPONENT_H
#define PROTO_COMPONENT_H

#include <stdint.h>

#define COMPONENT_MAGIC		0x504d4f4353534554ULL	/* "TESSCOMP" */
#define COMPONENT_VERSION	1

/* A component's CSpace.  What is not named here is in struct component_info. */
enum {
	COMPONENT_SLOT_SUPERVISOR = 1,	/* Endpoint of init, badged */
	COMPONENT_SLOT_BELL = 2,	/* the own Notification, to wait for */
	COMPONENT_SLOT_FIRST_FREE = 3,	/* channel bells, interrupts, authorities */
	COMPONENT_CNODE_BITS = 7,
};

/* The address space.  One component needs six page tables for all of it. */
#define COMPONENT_IMAGE_BASE	0x00400000UL	/* where images are linked */
#define COMPONENT_INFO_VADDR	0x10000000UL
#define COMPONENT_IPC_VADDR	0x10001000UL
#define COMPONENT_KEEP_VADDR	0x10002000UL
#define COMPONENT_LOG_VADDR	0x10010000UL	/* kernel log, where allowed */
#define COMPONENT_HEAP_BASE	0x10100000UL
#define COMPONENT_STACK_TOP	0x100f0000UL
#define COMPONENT_CHANNEL_BASE	0x20000000UL
#define COMPONENT_DEVICE_BASE	0x30000000UL

enum { COMPONENT_EXIT = 1 };		/* label of the message */

enum { COMPONENT_BIT_PEER = 1 };	/* bit 0 of the Notification */

enum channel_type {
	CHANNEL_STREAM = 1,		/* proto/stream.h, both directions */
	CHANNEL_LOG = 2,		/* proto/stream.h, client to server only */
	CHANNEL_CALL = 3,		/* an Endpoint: the client calls, the server receives */
};
enum channel_role { CHANNEL_CLIENT = 0, CHANNEL_SERVER = 1 };

struct component_channel {
	char name[16];
	char peer[16];			/* the component at the other end */
	uint64_t address;		/* of the shared Frame; 0 for CHANNEL_CALL */
	uint32_t size;
	uint32_t type;			/* enum channel_type */
	uint32_t role;			/* enum channel_role */
	uint32_t slot;			/* the peer's doorbell; CHANNEL_CALL: the Endpoint */
	uint64_t bit;			/* in the own Notification */
};

struct component_device {
	char name[16];
	uint64_t address;		/* of the first register */
	uint32_t size;
	uint32_t kind;			/* enum boot_uart_kind */
	uint32_t clock_hz;		/* 0: not known */
	uint32_t baud;			/* 0: leave it */
	uint8_t reg_shift;
	uint8_t reg_width;
	uint16_t reserved;
	uint32_t irq_slot;		/* IRQHandler; 0: no interrupt */
	uint64_t irq_bit;
};

/* Notifications of init that make it do something: `kill uart`. */
struct component_authority {
	char name[28];
	uint32_t slot;
};

enum {
	COMPONENT_MAX_CHANNELS = 24,
	COMPONENT_MAX_DEVICES = 4,
	COMPONENT_MAX_AUTHORITIES = 8,
};

struct component_info {
	uint64_t magic;
	uint32_t version;
	uint32_t starts;		/* 1 for the first time, and so on */
	char name[16];
	uint32_t timer_hz;
	uint32_t channel_count;
	uint32_t device_count;
	uint32_t authority_count;
	uint64_t heap_base;
	uint64_t heap_size;
	uint64_t keep;			/* a page that outlives the component; zeroed at boot */
	uint64_t kernel_log;		/* struct kernel_log, read only; 0: not allowed */
	uint64_t kernel_log_from;	/* what the kernel itself has printed up to */
	uint64_t wall_time_ns;		/* at wall_time_ticks; 0: not known */
	uint64_t wall_time_ticks;
	uint64_t random;		/* a seed that no other component was given */
	struct component_channel channel[COMPONENT_MAX_CHANNELS];
	struct component_device device[COMPONENT_MAX_DEVICES];
	struct component_authority authority[COMPONENT_MAX_AUTHORITIES];
	char args[256];			/* from system.conf */
	char cmdline[256];		/* of the boot slot */
};
_Static_assert(sizeof(struct component_info) <= 4096, "one page");

#endif
