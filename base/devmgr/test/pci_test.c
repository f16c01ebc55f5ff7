/* SPDX-License-Identifier: MIT */
/*
 * Enumeration against a model of configuration space: what firmware leaves,
 * what it leaves out, and what devices may say that is not true.
 */
#include <check.h>
#include <setjmp.h>
#include "model.h"

enum { NVME = 0x00101b36, VIRTIO = 0x10421af4, MASTER_ON = 7 };

static struct pci pci;
static struct pci_keep keep;

static void
start(void)
{
	model_reset();
	memset(&keep, 0, sizeof keep);
}

static void
enumerate(void)
{
	pci_enumerate(&pci, &model.hosts, &keep);
}

static struct pci_function *
at(unsigned rid)
{
	for (unsigned i = 0; i < pci.count; i++)
		if (pci.function[i].rid == rid)
			return &pci.function[i];
	return NULL;
}

/* An NVMe controller as QEMU has it: a wide BAR with the MSI-X table in it. */
static int
add_nvme(int parent, unsigned devfn, uint64_t address)
{
	int i = model_add(parent, devfn, NVME, 0x010802);

	model_bar(i, 0, 0x4000, address, true);
	model.f[i].reg[PCI_COMMAND / 4] |= MASTER_ON;
	model.f[i].reg[0x40 / 4] = 64 << 16;
	model.f[i].reg[0x44 / 4] = 0x2000;
	model.f[i].writable[0x40 / 4] = 0xc0000000;
	model_capability(i, 0x40, CAP_MSIX);
	return i;
}

static void
what_firmware_gave_is_kept(void)
{
	struct device_found found;
	struct pci_function *f;
	int nvme;

	start();
	model_add(MODEL_ROOT, 0, 0x00081b36, 0x060000);
	nvme = add_nvme(MODEL_ROOT, 8, 0x8000000000);
	enumerate();
	f = at(8);
	CHECK(pci.count == 2 && f != NULL && !f->broken);
	CHECK(f->bar[0].base == 0x8000000000 && f->bar[0].size == 0x4000 && f->bar[1].size == 0);
	CHECK(f->msix_vectors == 65 && f->msix_bar == 0 && f->msix_offset == 0x2000);
	CHECK(model_address(nvme, 0) == 0x8000000000);
	CHECK((model.f[nvme].reg[1] & MASTER_ON) == COMMAND_IO + COMMAND_MEMORY);
	CHECK(pci_describe(&pci, f, &found) && found.rid == 8 && found.vendor == 0x1b36);
	CHECK(found.class_code == 0x010802 && found.bar[0].size == 0x4000 && found.msix_vectors == 65);
}

static void
granted_functions_are_switched_on_and_others_off(void)
{
	int bridge, nvme;

	start();
	bridge = model_bridge(MODEL_ROOT, 8, 1, 1);
	model_window(bridge, 0x10000000, 0x100000);
	nvme = add_nvme(bridge, 0, 0x10000000);
	model.f[nvme].reg[0x50 / 4] = 1 << 16;
	model.f[nvme].writable[0x50 / 4] = 1 << 16;
	model_capability(nvme, 0x50, CAP_MSI);
	enumerate();
	pci_switch_on(&pci, at(0x100));
	CHECK((model.f[nvme].reg[1] & 0x7ff) == (COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF));
	CHECK(model.f[nvme].reg[0x40 / 4] >> 30 == 2 && (model.f[nvme].reg[0x50 / 4] >> 16 & 1) == 0);
	CHECK((model.f[bridge].reg[1] & MASTER_ON) == (COMMAND_MEMORY | COMMAND_MASTER));
	pci_switch_off(&pci, at(0x100));
	CHECK((model.f[nvme].reg[1] & COMMAND_MASTER) == 0 && model.f[nvme].reg[0x40 / 4] >> 30 == 0);
}

/* A second devmgr says the same and writes nothing to a device in use. */
static void
a_restart_changes_nothing(void)
{
	struct device_found before, after;
	unsigned writes;
	int bridge, nvme;

	start();
	bridge = model_bridge(MODEL_ROOT, 8, 0, 0);
	nvme = add_nvme(bridge, 0, 0);
	model_bar(model_add(MODEL_ROOT, 16, VIRTIO, 0x010000), 1, 0x1000, 0, false);
	enumerate();
	for (unsigned i = 0; i < pci.count; i++)
		if (!pci.function[i].bridge)
			pci_switch_on(&pci, &pci.function[i]);
	CHECK(pci_describe(&pci, at(0x100), &before));
	writes = model.writes;
	model.f[nvme].writes = 0;
	memset(&pci, 0xa5, sizeof pci);
	enumerate();
	CHECK(pci_describe(&pci, at(0x100), &after) && memcmp(&before, &after, sizeof before) == 0);
	for (unsigned i = 0; i < pci.count; i++)
		if (!pci.function[i].bridge)
			pci_switch_on(&pci, &pci.function[i]);
	CHECK(model.writes == writes && model.f[nvme].writes == 0);
}

static jmp_buf dead;

static void
die(void)
{
	longjmp(dead, 1);
}

/* Killed before any one of its writes, the next devmgr comes to the same end. */
static void
being_killed_in_the_middle_leaves_no_trace(void)
{
	static struct model whole;
	volatile unsigned step;
	int bridge, inner;

	for (step = 0; step < 1000; step++) {
		start();
		bridge = model_bridge(MODEL_ROOT, 8, 0, 0);
		inner = model_bridge(bridge, 0, 0, 0);
		add_nvme(inner, 0, 0);
		add_nvme(model_bridge(MODEL_ROOT, 16, 0, 0), 0, 0);
		add_nvme(MODEL_ROOT, 24, 0x8000000000);
		model_bar(model_add(MODEL_ROOT, 32, VIRTIO, 0x010000), 1, 0x1000, 0x20000000, false);
		model_death = die;
		model.die_after = step;
		if (setjmp(dead) == 0) {
			enumerate();
			if (step != 0)
				break;
		}
		model.die_after = 0;
		if (step != 0)
			enumerate();
		if (step == 0)
			whole = model;
		for (unsigned i = 0; i < model.count; i++)
			for (unsigned r = 0; r < 64; r++)
				if (model.f[i].reg[r] != whole.f[i].reg[r])
					printf("  step %u function %u: %02x is %08x, not %08x\n", step, i, 4 * r, model.f[i].reg[r], whole.f[i].reg[r]), check_ok = false;
	}
	CHECK(step > 20 && step < 1000);
	printf("  %u deaths\n", step - 1);
}

static void
missing_numbers_and_addresses_are_assigned(void)
{
	int closed, nested, a, b;

	start();
	closed = model_bridge(MODEL_ROOT, 8, 0, 0);
	nested = model_bridge(closed, 0, 0, 0);
	a = add_nvme(nested, 0, 0);
	b = add_nvme(MODEL_ROOT, 16, 0);
	model_bar(b, 2, 0x10, 0, false);
	model_bridge(MODEL_ROOT, 24, 1, 3);
	enumerate();
	CHECK((model.f[closed].reg[PCI_BUSES / 4] & 0xffffff) == 0x050400);
	CHECK((model.f[nested].reg[PCI_BUSES / 4] & 0xffffff) == 0x050504);
	CHECK(at(0x500) != NULL && !at(0x500)->broken && at(0x500)->bar[0].assigned);
	CHECK(model_address(a, 0) == at(0x500)->bar[0].base && model_address(a, 0) >= 0x10000000);
	CHECK(model_address(a, 0) < 0x3eff0000);
	CHECK(at(8)->memory.size >= 0x100000 && at(0x400)->memory.size >= 0x100000);
	CHECK(at(0x400)->memory.base >= at(8)->memory.base);
	CHECK(model_address(b, 0) >= 0x8000000000 && !at(16)->broken);
	CHECK(at(16)->bar[2].base % 0x1000 == 0 && at(16)->bar[2].size == 0x10);
}

/* Granted pages are granted whole: what firmware put into one page is parted. */
static void
no_two_functions_share_a_page(void)
{
	int a, b;

	start();
	a = model_add(MODEL_ROOT, 8, 0x00071b36, 0x080501);
	model_bar(a, 0, 0x100, 0x10000000, false);
	b = model_add(MODEL_ROOT, 16, 0x00111b36, 0x088000);
	model_bar(b, 0, 0x100, 0x10000100, false);
	enumerate();
	CHECK(at(8)->bar[0].base == 0x10000000);
	CHECK(at(16)->bar[0].base == 0x10001000 && model_address(b, 0) == 0x10001000);
}

static void
addresses_that_overlap_or_lead_elsewhere_are_not_kept(void)
{
	start();
	add_nvme(MODEL_ROOT, 8, 0x8000000000);
	add_nvme(MODEL_ROOT, 16, 0x8000000000);			/* the same place */
	add_nvme(MODEL_ROOT, 24, 0x40000000);			/* memory of the machine */
	add_nvme(MODEL_ROOT, 32, 0x0ffffffff0004000);
	enumerate();
	CHECK(at(8)->bar[0].base == 0x8000000000);
	CHECK(at(16)->bar[0].base == 0x8000004000);
	CHECK(at(24)->bar[0].base == 0x8000008000);
	CHECK(at(32)->bar[0].base == 0x800000c000);
}

static void
a_bar_that_fits_nowhere_costs_its_function_only(void)
{
	int i;

	start();
	i = model_add(MODEL_ROOT, 8, 0x12345678, 0x030000);
	model_bar(i, 0, 0x80000000, 0, false);
	add_nvme(MODEL_ROOT, 16, 0);
	enumerate();
	CHECK(at(8)->broken && !at(16)->broken);
	CHECK(!pci_describe(&pci, at(8), &(struct device_found){ 0 }));
	CHECK((model.f[i].reg[1] & (COMMAND_MEMORY | COMMAND_MASTER)) == 0);
}

static void
nonsense_costs_its_function_only(void)
{
	int i;

	start();
	i = model_add(MODEL_ROOT, 8, 0x00011234, 0);
	memset((uint8_t *)model.f[i].reg + 4, 0xff, sizeof model.f[i].reg - 4);	/* all ones but for its ids */
	i = model_add(MODEL_ROOT, 16, 0x00011234, 0);
	model.f[i].writable[PCI_BAR0 / 4] = 0x00ff0ff0;		/* no power of two */
	i = model_add(MODEL_ROOT, 24, 0x00011234, 0);
	model_bar(i, 5, 0x1000, 0, true);			/* 64 bits in the last BAR */
	i = model_add(MODEL_ROOT, 32, 0x00011234, 0);
	model.f[i].reg[PCI_COMMAND / 4] |= STATUS_CAPABILITIES;
	model.f[i].reg[PCI_CAPABILITIES / 4] = 0x40;
	model.f[i].reg[0x40 / 4] = 0x5011;			/* a loop, MSI-X without a BAR */
	model.f[i].reg[0x50 / 4] = 0x4005;
	i = model_add(MODEL_ROOT, 40, 0x00011234, 0);
	model.f[i].reg[PCI_COMMAND / 4] |= STATUS_CAPABILITIES;
	model.f[i].reg[PCI_CAPABILITIES / 4] = 0x0c;		/* into the header */
	model_bridge(MODEL_ROOT, 48, 0, 9);			/* leads to its own bus */
	model_bridge(MODEL_ROOT, 56, 5, 3);			/* the wrong way round */
	add_nvme(MODEL_ROOT, 64, 0);
	enumerate();
	CHECK(at(8)->broken && at(16)->broken && at(24)->broken);
	CHECK(!at(32)->broken && at(32)->msix == 0 && at(32)->msi == 0x50);
	CHECK(!at(40)->broken && at(40)->msix == 0);
	CHECK(at(48)->secondary == 1 && at(56)->secondary == 2);
	CHECK(!at(64)->broken && at(64)->msix_vectors == 65);
}

static void
virtio_capabilities_are_bounded_by_their_bars(void)
{
	struct pci_function *f;
	int i;

	start();
	i = model_add(MODEL_ROOT, 8, VIRTIO, 0x010000);
	model_bar(i, 4, 0x4000, 0x8000000000, true);
	for (unsigned k = 0; k < 5; k++) {
		unsigned place = 0x40 + 0x18 * k;
		unsigned kind = k < 4 ? k + 1 : 1;

		model_capability(i, place, CAP_VENDOR);
		model.f[i].reg[place / 4] |= 0x140000 | kind << 24;
		model.f[i].reg[place / 4 + 1] = 4;
		model.f[i].reg[place / 4 + 2] = 0x1000 * k;
		model.f[i].reg[place / 4 + 3] = 0x1000;
		model.f[i].reg[place / 4 + 4] = 4;
	}
	enumerate();
	f = at(8);
	/* the fifth comes first in the list, but leads out of its BAR */
	CHECK(f->virtio[0].length == 0x1000 && f->virtio[0].offset == 0 && f->virtio[0].bar == 4);
	CHECK(f->virtio[1].offset == 0x1000 && f->virtio[1].multiplier == 4);
	CHECK(f->virtio[2].multiplier == 0 && f->virtio[3].offset == 0x3000);
	model.f[i].reg[0x48 / 4] = 0xfffff000;
	model.f[i].reg[0x54 / 4 + 1] = 9;
	start();
	i = model_add(MODEL_ROOT, 8, 0x10421af5, 0x010000);
	model_bar(i, 4, 0x4000, 0x8000000000, true);
	model_capability(i, 0x40, CAP_VENDOR);
	model.f[i].reg[0x40 / 4] |= 0x01140000;
	model.f[i].reg[0x44 / 4] = 4;
	model.f[i].reg[0x4c / 4] = 0x100;
	enumerate();
	CHECK(at(8)->virtio[0].length == 0);			/* somebody else's vendor capability */
}

static void
only_multifunction_devices_have_more_than_one(void)
{
	int i;

	start();
	i = add_nvme(MODEL_ROOT, 8, 0);
	add_nvme(MODEL_ROOT, 9, 0);
	add_nvme(MODEL_ROOT, 15, 0);
	enumerate();
	CHECK(pci.count == 1);
	model.f[i].reg[PCI_HEADER / 4] = 0x800000;
	enumerate();
	CHECK(pci.count == 3 && at(15) != NULL);
}

static void
depth_and_number_are_bounded(void)
{
	int parent = MODEL_ROOT;

	start();
	for (unsigned i = 0; i < 30; i++)
		parent = model_bridge(parent, 0, 0, 0);
	enumerate();
	CHECK(pci.count == PCI_MAX_DEPTH + 1 && pci.function[PCI_MAX_DEPTH].broken);
	start();
	for (unsigned b = 0; b < 9; b++) {
		parent = model_bridge(MODEL_ROOT, 8 * b, 0, 0);
		for (unsigned i = 0; i < 32; i++)
			add_nvme(parent, 8 * i, 0);
	}
	enumerate();
	CHECK(pci.count == PCI_MAX_FUNCTIONS && pci.full);
}

static void
bus_addresses_are_translated(void)
{
	int i;

	start();
	model.hosts.host[0].bus_first = 0x40;
	model.hosts.host[0].mem32 = (struct device_window){ 0xf4000000, 0x1000000, 0x10000000 };
	model.hosts.host[0].mem64 = (struct device_window){ 0, 0, 0 };
	i = model_add(MODEL_ROOT, 8, 0x81258086, 0x020000);
	model_bar(i, 0, 0x1000, 0, true);
	model_bar(i, 2, 0x1000, 0x10000000, false);
	enumerate();
	CHECK(at(0x4008)->bar[2].base == 0xf4000000);
	CHECK(at(0x4008)->bar[0].base == 0xf4001000 && model_address(i, 0) == 0x10001000);
}

int
main(void)
{
	RUN(what_firmware_gave_is_kept);
	RUN(granted_functions_are_switched_on_and_others_off);
	RUN(a_restart_changes_nothing);
	RUN(being_killed_in_the_middle_leaves_no_trace);
	RUN(missing_numbers_and_addresses_are_assigned);
	RUN(no_two_functions_share_a_page);
	RUN(addresses_that_overlap_or_lead_elsewhere_are_not_kept);
	RUN(a_bar_that_fits_nowhere_costs_its_function_only);
	RUN(nonsense_costs_its_function_only);
	RUN(virtio_capabilities_are_bounded_by_their_bars);
	RUN(only_multifunction_devices_have_more_than_one);
	RUN(depth_and_number_are_bounded);
	RUN(bus_addresses_are_translated);
	CHECK_END();
}
