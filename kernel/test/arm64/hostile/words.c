/* SPDX-License-Identifier: MIT */
/*
 * The attacker's words.  For every kind of argument eight values: the right one
 * first, then what is nearly right and what is wrong.
 */
#include "hostile.h"

uint32_t
next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005UL + 1442695040888963407UL;	/* Knuth, MMIX */
	return (uint32_t)(*state >> 33);
}

/* Of CNodes the attacker's own is the one with room for its slots. */
static uint64_t
capability(unsigned type, unsigned variant)
{
	switch (variant) {
	case 0:
		return slot_of(type, type == OBJ_CNODE ? SLOT_OWN : SLOT_FIRST);
	case 1:
		return 0;
	case 2:
		return SLOT_EMPTY;
	case 3:
		return 1 << 20;
	case 4:
		return slot_of(type == OBJ_FRAME ? OBJ_ENDPOINT : OBJ_FRAME, SLOT_FIRST);
	case 5:
		return slot_of(type, SLOT_POWERLESS);
	case 6:
		return slot_of(type, type == OBJ_CNODE ? SLOT_FIRST : SLOT_OWN);
	default:
		return ~0UL;
	}
}

/* Where something arrives, what it is made from, or what goes. */
static uint64_t
index_of(const struct grammar *g, unsigned n, unsigned variant)
{
	const uint64_t wrong[VARIANTS] = {
		0, 0, SLOT_EMPTY, 1 << 20, slot_of(OBJ_THREAD, SLOT_OWN), slot_of(OBJ_CNODE, SLOT_OWN),
		slot_of(OBJ_UNTYPED, SLOT_OWN), ~0UL,
	};

	if (variant != 0)
		return wrong[variant];
	if (g->type == OBJ_CNODE && g->arg[1].kind == ARG_NONE)
		return SLOT_SPARE;			/* delete, revoke */
	return n != 0 && g->type == OBJ_CNODE ? slot_of(OBJ_FRAME, SLOT_FIRST) : SLOT_FREE;
}

static uint64_t
argument(const struct grammar *g, unsigned n, unsigned variant)
{
	static const uint64_t numbers[VARIANTS] = { 1, 0, 40, 129, 4096, ~0UL, 1UL << 63, 0xffffffff };
	static const uint64_t bits[VARIANTS] = { 12, 0, 4, 11, 21, 30, 64, ~0UL };
	static const uint64_t addresses[VARIANTS] = {
		HOSTILE_WINDOW, 0, HOSTILE_WINDOW + 1, HOSTILE_STACK, 1UL << 39, ~0xfffUL, ~0UL, 0x1000,
	};
	static const uint64_t bytes[VARIANTS] = { 0x1000, 0, 1, 0x10000, 0x11000, 1UL << 40, ~0UL, ~0xfffUL };
	static const uint64_t ticks[VARIANTS] = { 10000, 0, 1, 9999, 10001, 1UL << 40, 1UL << 63, ~0UL };
	static const uint64_t types[VARIANTS] = {
		OBJ_ENDPOINT, OBJ_NULL, OBJ_FRAME, OBJ_UNTYPED, OBJ_VSPACE, OBJ_IRQ_HANDLER, OBJECT_TYPES, ~0UL,
	};
	static const uint64_t rights[VARIANTS] = {
		RIGHT_READ | RIGHT_WRITE, 0, RIGHT_READ, RIGHTS_ALL, RIGHT_WRITE | RIGHT_EXEC, 16, 1UL << 63, ~0UL,
	};
	static const uint64_t badges[VARIANTS] = { 5, 0, 1, 8, 1UL << 32, 1UL << 47, 1UL << 63, ~0UL };
	static const uint64_t attributes[VARIANTS] = { MAP_NORMAL, MAP_UNCACHED, MAP_DEVICE, 3, 4, 255, 1UL << 32, ~0UL };

	switch (g->arg[n].kind) {
	case ARG_CAP:
		/* The first IODevice is assigned already. */
		return variant == 0 && g->type == OBJ_IO_CONTROL ? slot_of(OBJ_IO_DEVICE, SLOT_SECOND) :
			capability(g->arg[n].type, variant);
	case ARG_INDEX:
		return index_of(g, n, variant);
	case ARG_NUMBER:
		/* An IODevice is the first stream of the first SMMU. */
		return variant == 0 && g->type == OBJ_IO_CONTROL ? 0 : numbers[variant];
	case ARG_BITS:
		return bits[variant];
	case ARG_ADDR:
		return addresses[variant];
	case ARG_BYTES:
		return variant == 0 && g->type == OBJ_UNTYPED ? 0 : bytes[variant];	/* memory has no offset */
	case ARG_TICKS:
		return ticks[variant];
	case ARG_TYPE:
		return types[variant];
	case ARG_RIGHTS:
		return rights[variant];
	case ARG_BADGE:
		return badges[variant];
	case ARG_ATTR:
		return attributes[variant];
	default:
		return numbers[variant];	/* a word too many */
	}
}

static void
compose(struct call *c, const struct grammar *g, const unsigned variant[POSITIONS])
{
	c->number = SYS_CALL;
	c->cap = capability(g->type, variant[0]);
	c->info = MSG_INFO(g->label, 6, 0);
	for (unsigned i = 0; i < 6; i++)
		c->w[i] = argument(g, i, variant[i + 1]);
	c->deadline = c->reply = 0;
}

void
invocation(struct call *c, const struct grammar *g, unsigned position, unsigned variant)
{
	unsigned variants[POSITIONS] = { 0 };

	variants[position] = variant;
	compose(c, g, variants);
}

/* A call with no end ends with the life: few of them. */
void
system_call(struct call *c, unsigned number, unsigned type, unsigned variant)
{
	static const uint64_t infos[VARIANTS] = {
		MSG_INFO(1, 6, 0), 0, MSG_INFO(1, 120, 0), MSG_INFO(1, 127, 0), MSG_INFO(3, 4, 4), MSG_INFO(3, 1, 7),
		~0UL, MSG_INFO(LABEL_FAULT_MEMORY, 4, 0),
	};

	c->number = number;
	c->cap = slot_of(type, variant & 1 ? SLOT_SECOND : SLOT_FIRST);
	c->info = infos[variant];
	for (unsigned i = 0; i < 6; i++)
		c->w[i] = i;
	c->deadline = variant == 7 ? ~0UL : variant == 3 ? 1 : now() + 200;
	c->reply = variant == 1 ? 0 : variant == 5 ? SLOT_EMPTY : slot_of(OBJ_REPLY, variant & 1);
}

/* Numbers of its own beside those that its grammar knows. */
static uint64_t
any_slot(uint64_t *random)
{
	return next_random(random) & ((1 << CSPACE_BITS) - 1);
}

void
nonsense(struct call *c, uint64_t *random)
{
	uint32_t r = next_random(random);
	const struct grammar *g = &grammar[(r >> 8) % CALLS];
	unsigned variants[POSITIONS];

	if (r % 4 == 0) {
		system_call(c, r >> 2 & (SYSTEM_NUMBERS - 1), (r >> 6) % OBJECT_TYPES, r >> 16 & (VARIANTS - 1));
		if (c->deadline == ~0UL && r >> 20 & 63)
			c->deadline = now() + 100;
		return;
	}
	for (unsigned i = 0; i < POSITIONS; i++)
		variants[i] = next_random(random) % 3 != 0 ? 0 : next_random(random) % VARIANTS;
	compose(c, g, variants);
	if (r & 64)
		c->cap = slot_of(g->type, next_random(random) % SLOTS_PER_TYPE);
	for (unsigned i = 0; i < 6; i++)
		if ((g->arg[i].kind == ARG_INDEX || g->arg[i].kind == ARG_CAP) && next_random(random) % 3 == 0)
			c->w[i] = any_slot(random);
}
