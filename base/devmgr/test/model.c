/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "model.h"

struct model model;
void (*model_death)(void);

void
model_reset(void)
{
	memset(&model, 0, sizeof model);
	model.hosts.count = 1;
	model.hosts.host[0] = (struct device_host){
		.segment = 0, .bus_first = 0, .bus_last = 255,
		.mem32 = { 0x10000000, 0x2eff0000, 0x10000000 },
		.mem64 = { 0x8000000000, 0x8000000000, 0x8000000000 },
	};
	model.host.facts = &model.hosts.host[0];
}

int
model_add(int parent, unsigned devfn, uint32_t id, uint32_t class_code)
{
	struct model_function *f = &model.f[model.count];

	memset(f, 0, sizeof *f);
	f->parent = parent;
	f->devfn = (uint8_t)devfn;
	f->reg[PCI_ID / 4] = id;
	f->reg[PCI_CLASS / 4] = class_code << 8;
	f->writable[PCI_COMMAND / 4] = 0x7ff;
	return (int)model.count++;
}

int
model_bridge(int parent, unsigned devfn, unsigned secondary, unsigned subordinate)
{
	int i = model_add(parent, devfn, 0x000c1b36, 0x060400);
	struct model_function *f = &model.f[i];

	f->reg[PCI_HEADER / 4] = 1 << 16;
	f->reg[PCI_BUSES / 4] = secondary << 8 | subordinate << 16;
	f->writable[PCI_BUSES / 4] = 0xffffffff;
	f->reg[PCI_MEMORY_WINDOW / 4] = 0x0000fff0;
	f->writable[PCI_MEMORY_WINDOW / 4] = 0xfff0fff0;
	f->reg[PCI_PREFETCH_WINDOW / 4] = 0x0001fff1;
	f->writable[PCI_PREFETCH_WINDOW / 4] = 0xfff0fff0;
	f->writable[PCI_PREFETCH_BASE_HIGH / 4] = 0xffffffff;
	f->writable[PCI_PREFETCH_LIMIT_HIGH / 4] = 0xffffffff;
	return i;
}

void
model_window(int bridge, uint32_t base, uint32_t size)
{
	model.f[bridge].reg[PCI_MEMORY_WINDOW / 4] = base >> 16 | ((base + size - 1) & 0xfff00000);
}

void
model_bar(int index, unsigned bar, uint64_t size, uint64_t address, bool wide)
{
	struct model_function *f = &model.f[index];
	unsigned r = PCI_BAR0 / 4 + bar;

	f->writable[r] = (uint32_t)~(size - 1) & ~15u;
	f->reg[r] = (uint32_t)address | (wide ? 4 : 0);
	if (!wide)
		return;
	f->writable[r + 1] = (uint32_t)(~(size - 1) >> 32);
	f->reg[r + 1] = (uint32_t)(address >> 32);
}

void
model_capability(int index, unsigned at, unsigned id)
{
	struct model_function *f = &model.f[index];

	f->reg[PCI_COMMAND / 4] |= STATUS_CAPABILITIES;
	f->reg[at / 4] = (f->reg[at / 4] & 0xffff0000) | id | f->reg[PCI_CAPABILITIES / 4] << 8;
	f->reg[PCI_CAPABILITIES / 4] = at;
}

uint64_t
model_address(int index, unsigned bar)
{
	const struct model_function *f = &model.f[index];
	uint64_t low = f->reg[PCI_BAR0 / 4 + bar];

	if ((low & 6) == 4)
		low |= (uint64_t)f->reg[PCI_BAR0 / 4 + bar + 1] << 32;
	return low & ~(uint64_t)15;
}

/* The bridge on `parent`'s bus that passes on accesses to `bus`. */
static int
bridge_to(int parent, unsigned bus)
{
	for (unsigned i = 0; i < model.count; i++) {
		const struct model_function *f = &model.f[i];
		uint32_t buses = f->reg[PCI_BUSES / 4];

		if (f->parent != parent || (f->reg[PCI_HEADER / 4] >> 16 & 0x7f) != 1)
			continue;
		if ((buses >> 8 & 0xff) != 0 && (buses >> 8 & 0xff) <= bus && bus <= (buses >> 16 & 0xff))
			return (int)i;
	}
	return -2;
}

static struct model_function *
find(uint16_t rid)
{
	unsigned bus = rid >> 8, at = model.hosts.host[0].bus_first;
	int parent = MODEL_ROOT;

	for (unsigned depth = 0; at != bus; depth++) {
		parent = bridge_to(parent, bus);
		if (parent == -2 || depth == 255)
			return NULL;
		at = model.f[parent].reg[PCI_BUSES / 4] >> 8 & 0xff;
	}
	for (unsigned i = 0; i < model.count; i++)
		if (model.f[i].parent == parent && model.f[i].devfn == (rid & 0xff))
			return &model.f[i];
	return NULL;
}

uint32_t
config_read(const struct pci_host *host, uint16_t rid, unsigned at)
{
	struct model_function *f = find(rid);

	(void)host;
	model.accesses++;
	if (at % 4 != 0 || at >= 256)
		__builtin_trap();
	return f == NULL ? UINT32_MAX : f->reg[at / 4];
}

void
config_write(const struct pci_host *host, uint16_t rid, unsigned at, uint32_t value)
{
	struct model_function *f = find(rid);
	uint32_t old;

	(void)host;
	model.accesses++;
	if (at % 4 != 0 || at >= 256)
		__builtin_trap();
	if (model.die_after != 0 && --model.die_after == 0)
		model_death();
	if (f == NULL)
		return;
	old = f->reg[at / 4];
	f->reg[at / 4] = (old & ~f->writable[at / 4]) | (value & f->writable[at / 4]);
	if (old != f->reg[at / 4])
		model.writes++;
	if (at >= PCI_BAR0 && at < PCI_BAR0 + 4 * DEVICE_BARS)
		f->writes++;
}
