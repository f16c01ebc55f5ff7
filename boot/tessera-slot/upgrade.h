/* SPDX-License-Identifier: MIT */
/*
 * What an upgrade does to slots and boot state (slot(5)), in an order that
 * leaves a system that boots wherever power fails.  Knows no device: an area is
 * a partition behind three functions, so that tests can cut the power anywhere.
 *
 * Functions that return bool say in *why what went wrong when they return false.
 */
#ifndef TESSERA_SLOT_UPGRADE_H
#define TESSERA_SLOT_UPGRADE_H

#include "slots.h"

/* Offsets and sizes are multiples of SLOT_PAGE, memory is aligned to it. */
struct area {
	const char *name;		/* for messages: "slot B" */
	uint64_t bytes;
	bool (*read)(struct area *, uint64_t offset, void *to, size_t size, struct complaint *why);
	bool (*write)(struct area *, uint64_t offset, const void *from, size_t size, struct complaint *why);
	/* Everything written is on stable storage when it returns. */
	bool (*flush)(struct area *, struct complaint *why);
	void *data;			/* of who made it */
};

struct slots {
	struct area slot[SLOT_COUNT], state;
	unsigned running;		/* the slot that the loader took */
};

/* What goes into a slot.  kernel and bundle belong to the caller. */
struct content {
	const void *kernel, *bundle;
	uint64_t kernel_size, bundle_size;
	const char *cmdline, *label;
	uint8_t root_part_guid[16];
};

/* The boot state that counts; false as *valid: no record is, and *state is the default. */
bool slots_state(struct slots *, struct boot_state *state, bool *valid, struct complaint *why);
/* The header of a slot, checked by itself. */
bool slots_header(struct slots *, unsigned slot, struct slot_header *header, struct complaint *why);
/* The slot whole: its header, and its content as the disk has it. */
bool slots_verify(struct slots *, unsigned slot, struct slot_header *header, struct complaint *why);

/* Would the loader take this?  Everything that it checks and that needs no machine. */
bool content_check(const struct content *, struct complaint *why);
/* The header that the content gets, complete. */
bool content_header(const struct content *, struct slot_header *header, struct complaint *why);

/*
 * Write the slot that does not run, and read it back.  Afterwards it is whole
 * and the boot state calls it empty: nobody boots it before slots_activate.
 * Refused while the running slot is on trial, since the other one is what the
 * system falls back to.
 */
bool slots_write(struct slots *, const struct content *, struct complaint *why);
/* The slot that does not run, verified, gets one trial boot, at the next start. */
bool slots_activate(struct slots *, struct complaint *why);
/* The running slot is good and preferred; a trial of the other one is called off. */
bool slots_confirm(struct slots *, struct complaint *why);

/* What slots_settle found. */
enum settled {
	SETTLED_NOTHING,	/* all is as it was */
	SETTLED_GOOD,		/* the running slot was on trial and is good now */
	SETTLED_UNHEALTHY,	/* it is on trial, and not healthy: nothing was written */
	SETTLED_FELL_BACK,	/* the other slot was preferred and did not come up: it is bad now */
	SETTLED_ANEW,		/* no record was valid; there is one now */
};
/* Once after each start, when it is known whether the system is healthy. */
bool slots_settle(struct slots *, bool healthy, enum settled *, struct complaint *why);

#endif
