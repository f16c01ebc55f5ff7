/* SPDX-License-Identifier: MIT */
/*
 * Who may touch what, as it is at this moment: a Frame of init's that a world
 * which may read `capabilities` (system.conf) sees read only, at
 * world_info.capabilities.  One struct capability_list, then the records, then
 * at conf_offset the text of the system.conf that init obeys.
 *
 * init reads the kernel's slots (cnode_info), not a book of its own, and gives
 * each capability the name of what it is for.  What it cannot name is
 * CAPABILITY_UNKNOWN: nothing that system.conf says gives it.
 *
 * A signal to WORLD_SLOT_CAPABILITIES has the list made anew: it is when `serial`
 * has grown by two and is even.  A crash report of init's is made in the same
 * Frame, and leaves a whole list there: who has read it looks whether `serial` is
 * what it was, and otherwise asks again.
 */
#ifndef PROTO_CAPABILITIES_H
#define PROTO_CAPABILITIES_H

#include <stdint.h>

#define CAPABILITIES_BYTES	(128u << 10)
#define CAPABILITIES_CONF	(16u << 10)	/* at most so much text, at the end */

enum capability_place {
	CAPABILITY_HELD,	/* in its CSpace: it may invoke it */
	CAPABILITY_SEEN,	/* memory that is mapped in its address space */
	CAPABILITY_LENT,	/* memory of its own within the reach of target's device */
};

/* What it is for. */
enum capability_purpose {
	CAPABILITY_UNKNOWN,
	CAPABILITY_MEMORY,	/* of its own budget */
	CAPABILITY_SUPERVISOR,	/* init's Endpoint: exit, what devices there are, this list */
	CAPABILITY_BELL,	/* the own Notification */
	CAPABILITY_RING,	/* the bell of a channel's other end */
	CAPABILITY_CHANNEL,	/* the memory of a channel, or the Endpoint of a call channel */
	CAPABILITY_REGISTERS,	/* of its device; memory of the device */
	CAPABILITY_CONFIG,	/* PCI configuration space */
	CAPABILITY_INTERRUPT,
	CAPABILITY_DEVICE,	/* IODevice: say what memory the device sees */
	CAPABILITY_REACH,	/* IOSpace: its own device's, or the window of it that it may fill */
	CAPABILITY_DMA,		/* own memory within the reach of its own device */
	CAPABILITY_LOAN,	/* own memory within the reach of another one's device */
	CAPABILITY_KERNEL_LOG,
	CAPABILITY_USAGE,	/* memory-usage: its own page, or all */
	CAPABILITY_LIST,	/* this list, and to have it made */
	CAPABILITY_ARCHIVE,	/* of the bundle */
	CAPABILITY_KEEP,	/* the page that outlives it */
	CAPABILITY_POWER,	/* switch the machine off, reset it */
	CAPABILITY_KILL,
	CAPABILITY_SELF,	/* its own CSpace */
	CAPABILITY_TIME,	/* its SchedContext, to read */
	CAPABILITY_VCPU,	/* Notifications of its own VCPUs */
	CAPABILITY_HEALTH,	/* say that the slot on trial works */
	CAPABILITY_PURPOSES
};

/* Names in text, /proc/tessera/capabilities among it; in the order of the purposes. */
#define CAPABILITY_NAMES { \
	"unknown", "memory", "supervisor", "bell", "ring", "channel", "registers", "config", \
	"interrupt", "device", "reach", "dma", "loan", "kernel-log", "memory-usage", "capabilities", \
	"archive", "keep", "power", "kill", "self", "time", "vcpu", "health" }
#define CAPABILITY_PLACES { "held", "seen", "lent" }
/* In the order of enum object_type. */
#define CAPABILITY_TYPES { \
	"null", "untyped", "cnode", "thread", "vcpu", "sched-context", "endpoint", "notification", \
	"reply", "frame", "vspace", "irq-handler", "irq-control", "sched-control", "system-control", \
	"io-control", "io-device", "io-space" }

/* Capabilities of a holder that differ only in slot and address are one record. */
struct capability {
	char holder[16];
	char target[16];	/* the other component, "init", or "" */
	char name[16];		/* of the channel, device or authority, or "" */
	uint32_t slot;		/* of the first one; CAPABILITY_HELD: in its CSpace */
	uint32_t count;
	uint32_t line;		/* of system.conf that gave it */
	uint8_t place, purpose;
	uint8_t type;		/* enum object_type */
	uint8_t rights;		/* RIGHT_*; of a mapping: those of the mapping */
	uint64_t badge;
	uint64_t bytes;		/* of memory, all of them together */
	uint64_t address;	/* where the first one is mapped */
	uint64_t physical;	/* of a device's registers; others: 0 */
};
_Static_assert(sizeof(struct capability) == 96, "shared layout");

struct capability_list {
	uint32_t count;
	uint32_t left_out;	/* records that had no room */
	uint32_t conf_offset, conf_size;
	uint64_t serial;	/* odd while a list is being made */
	uint64_t reserved;
	struct capability record[];
};
#define CAPABILITIES_MAX \
	((CAPABILITIES_BYTES - CAPABILITIES_CONF - sizeof(struct capability_list)) / sizeof(struct capability))

#endif
