/* SPDX-License-Identifier: MIT */
/*
 * What init believes of devmgr: nothing that the loader's facts contradict.
 */
#include <check.h>
#include <tessera/abi.h>
#include "../grant.h"

static struct bootinfo boot;
static struct device_found nvme;

static void
start(void)
{
	boot = (struct bootinfo){
		.memory_count = 2, .smmu_count = 1, .stream_count = 2, .ecam_count = 2,
		.memory = {
			{ 0x09000000, 0x1000, BOOT_MEM_DEVICE, 0 }, { 0x40000000, 0x40000000, BOOT_MEM_FREE, 0 },
		},
		.gic = { .dist_base = 0x08000000, .dist_size = 0x10000, .gicr_count = 1, .its_count = 1,
		    .gicr = { { 0x080a0000, 0xf60000 } }, .its = { { 0x08080000, 0x20000 } } },
		.smmu = { { .base = 0x09050000, .size = 0x20000 } },
		.stream = {
			{ .segment = 0, .rid_base = 0, .count = 0x100, .smmu = 0, .stream_base = 0x1000,
			    .its = 0, .device_base = 0x2000 },
			{ .segment = 1, .rid_base = 0, .count = 0x10000, .smmu = -1, .its = 0 },
		},
		.ecam = {
			{ .base = 0x4010000000, .segment = 0, .bus_first = 0, .bus_last = 255, .coherent = 1,
			    .mem32 = { 0x10000000, 0x2eff0000 }, .mem64 = { 0x8000000000, 0x8000000000 } },
			{ .base = 0x3f000000, .segment = 1, .bus_first = 0, .bus_last = 3,
			    .mem32 = { 0x08000000, 0x38000000 } },
		},
	};
	nvme = (struct device_found){
		.rid = 8, .vendor = 0x1b36, .device = 0x10, .class_code = 0x010802, .msix_vectors = 65,
		.msix_offset = 0x2000, .bar = { { 0x8000000000, 0x4000 } },
	};
}

static bool
refused(const char *why)
{
	const char *wrong = grant_check(&boot, &nvme);
	bool as_expected = wrong != NULL && strstr(wrong, why) != NULL;

	if (!as_expected)
		printf("  said: %s\n", wrong == NULL ? "nothing" : wrong);
	start();
	return as_expected;
}

static void
a_true_device_is_believed(void)
{
	struct grant_stream s;

	start();
	CHECK(grant_check(&boot, &nvme) == NULL);
	CHECK(grant_stream(&boot, &nvme, &s));
	CHECK(s.smmu == 0 && s.stream == 0x1008 && s.its == 0 && s.device == 0x2008);
	CHECK(grant_coherent(&boot, &nvme));
	nvme.bar[2] = (struct device_bar){ 0x10000000, 0x10 };
	CHECK(grant_check(&boot, &nvme) == NULL);
}

static void
what_cannot_be_is_refused(void)
{
	start();
	nvme.segment = 7;
	CHECK(refused("no such bus"));
	nvme.segment = 1;
	nvme.rid = 0x400;
	CHECK(refused("no such bus"));
	nvme.bar[0].size = 0x3000;
	CHECK(refused("size is none"));
	nvme.bar[0].size = 8;
	CHECK(refused("size is none"));
	nvme.bar[0].base = 0x8000002000;
	CHECK(refused("not aligned"));
	nvme.bar[0] = (struct device_bar){ 0xffffffffffff0000, 0x10000 };
	CHECK(refused("not aligned"));
	nvme.bar[0].base = 0x40000000;
	CHECK(refused("outside of its host's windows"));
	nvme.bar[0].base = 0x10000000000;
	CHECK(refused("outside of its host's windows"));
	nvme.bar[1] = (struct device_bar){ 0x3eff0000, 0x10000 };
	CHECK(refused("outside of its host's windows"));
	nvme.bar[1] = (struct device_bar){ 0x8000003000, 0x1000 };
	CHECK(refused("share a page"));
	nvme.bar[1] = (struct device_bar){ 0x10000000, 0x100 };
	nvme.bar[2] = (struct device_bar){ 0x10000800, 0x100 };
	CHECK(refused("share a page"));
	nvme.msix_bar = 1;
	CHECK(refused("MSI-X"));
	nvme.msix_bar = 9;
	CHECK(refused("MSI-X"));
	nvme.msix_offset = 0x3f00;
	CHECK(refused("MSI-X"));
	nvme.msix_offset = 0xfffffff8;
	CHECK(refused("MSI-X"));
	nvme.msix_vectors = 0xffffffff;
	CHECK(refused("more vectors"));
	nvme.virtio[2].length = 0x4001;
	CHECK(refused("virtio"));
	nvme.virtio[2].length = 1;
	nvme.virtio[2].offset = 0xffffffff;
	CHECK(refused("virtio"));
}

/* The second host's window says too much: it reaches over what is not its. */
static void
nothing_of_the_machine_is_granted(void)
{
	static const uint64_t places[] = {
		0x3f000000,			/* its own configuration space */
		0x09050000, 0x08000000, 0x080a0000, 0x08080000,
	};

	for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
		start();
		nvme.segment = 1;
		nvme.bar[0].base = places[i];
		CHECK(refused("over something else"));
	}
	start();
	boot.uart.kind = BOOT_UART_PL011;
	boot.uart.base = 0x20000000;
	nvme.bar[0] = (struct device_bar){ 0x20000000, 0x4000 };
	CHECK(refused("over something else"));
	start();
	boot.memory[1].base = 0x30000000;
	nvme.bar[0] = (struct device_bar){ 0x30000000, 0x4000 };
	CHECK(refused("over something else"));
}

static void
a_function_without_an_smmu_gets_no_stream(void)
{
	struct grant_stream s;

	start();
	nvme.rid = 0x100;
	CHECK(!grant_stream(&boot, &nvme, &s));		/* beyond the map */
	nvme.rid = 8;
	nvme.segment = 1;
	CHECK(!grant_stream(&boot, &nvme, &s));		/* mapped to no SMMU */
	nvme.segment = 0;
	boot.stream[0].smmu = 3;
	CHECK(!grant_stream(&boot, &nvme, &s));		/* to one that is not there */
	boot.stream[0].smmu = 0;
	boot.stream[0].its = -1;
	CHECK(grant_stream(&boot, &nvme, &s) && s.its == IO_NO_ITS);
}

static void
drivers_get_what_they_want(void)
{
	struct conf_pci pci = { .wanted = true, .class_code = 0x010802, .class_mask = 0xffffff };

	start();
	CHECK(grant_matches(&pci, &nvme));
	pci.class_code = 0x010800;
	CHECK(!grant_matches(&pci, &nvme));
	pci.class_mask = 0xffff00;
	CHECK(grant_matches(&pci, &nvme));
	pci.has_vendor = true;
	CHECK(!grant_matches(&pci, &nvme));
	pci.vendor = 0x1b36;
	CHECK(grant_matches(&pci, &nvme));
	pci.device_count = 2;
	pci.device[0] = 0x11;
	CHECK(!grant_matches(&pci, &nvme));
	pci.device[1] = 0x10;
	CHECK(grant_matches(&pci, &nvme));
	pci.wanted = false;
	CHECK(!grant_matches(&pci, &nvme));
}

static void
overlaps_are_of_pages(void)
{
	struct device_found other;

	start();
	other = nvme;
	CHECK(grant_overlaps(&nvme, &other));
	other.bar[0].base += 0x4000;
	CHECK(!grant_overlaps(&nvme, &other));
	nvme.bar[3] = (struct device_bar){ 0x10000000, 0x100 };
	other.bar[5] = (struct device_bar){ 0x10000f00, 0x100 };
	CHECK(grant_overlaps(&nvme, &other) && grant_overlaps(&other, &nvme));
}

int
main(void)
{
	RUN(a_true_device_is_believed);
	RUN(what_cannot_be_is_refused);
	RUN(nothing_of_the_machine_is_granted);
	RUN(a_function_without_an_smmu_gets_no_stream);
	RUN(drivers_get_what_they_want);
	RUN(overlaps_are_of_pages);
	CHECK_END();
}
