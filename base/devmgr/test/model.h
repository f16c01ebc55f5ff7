/* SPDX-License-Identifier: MIT */
/*
 * A model of PCI configuration space: functions with registers, of which masks
 * say what can be written, behind bridges that pass on what their bus numbers
 * say.  What is not there reads as all ones.
 */
#ifndef MODEL_H
#define MODEL_H

#include "../pci.h"

enum { MODEL_FUNCTIONS = 320, MODEL_ROOT = -1 };

struct model_function {
	int parent;			/* index of a bridge, or MODEL_ROOT */
	uint8_t devfn;
	uint32_t reg[64], writable[64];
	unsigned writes;		/* to BARs */
};

struct model {
	struct device_hosts hosts;
	struct pci_host host;
	unsigned count;
	struct model_function f[MODEL_FUNCTIONS];
	unsigned writes;		/* that changed something */
	unsigned die_after;		/* config_write calls until model_death; 0: never */
	uint64_t accesses;
};
extern struct model model;

/* What happens when die_after runs out (the test leaves by longjmp). */
extern void (*model_death)(void);

void model_reset(void);
/* A function; BARs come by model_bar.  Returns its index. */
int model_add(int parent, unsigned devfn, uint32_t id, uint32_t class_code);
int model_bridge(int parent, unsigned devfn, unsigned secondary, unsigned subordinate);
void model_window(int bridge, uint32_t base, uint32_t size);
void model_bar(int index, unsigned bar, uint64_t size, uint64_t address, bool wide);
/* A capability at `at`, put in front of those that are there. */
void model_capability(int index, unsigned at, unsigned id);
/* The address in a BAR as it stands. */
uint64_t model_address(int index, unsigned bar);

#endif
