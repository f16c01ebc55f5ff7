/* SPDX-License-Identifier: MIT */
/*
 * The device tree reader, on the Rock 5B+'s own tree (expected values: the
 * RK3588 reference manual's map), on QEMU's, and on damaged ones.
 */
#include <stdlib.h>
#include <string.h>

#include <libfdt.h>

#include "../include/memory.h"
#include "test.h"

static struct platform *p;
static struct bootinfo *info;
static struct complaint why;

static bool
read_tree(const char *name, uint64_t boot_mpidr)
{
	size_t size;
	uint8_t *blob = test_data(name, &size);
	bool fine;

	p = test_platform(boot_mpidr);
	info = p->info;
	fine = dt_read(blob, size, p, &why);
	free(blob);
	return fine;
}

#define ROCK "rk3588-rock-5b-plus.dtb"
#define VIRT "qemu-virt.dtb"

TEST(rock_console_is_uart2)
{
	CHECK(read_tree(ROCK, 0));
	CHECK(info->source == BOOT_FROM_DT);
	CHECK(info->uart.kind == BOOT_UART_16550);
	CHECK(info->uart.base == 0xfeb50000);
	CHECK(info->uart.size == 0x100);
	CHECK(info->uart.intid == 365);
	CHECK(info->uart.reg_shift == 2);
	CHECK(info->uart.reg_width == 4);
	CHECK(info->uart.clock_hz == 24000000);
	CHECK(info->uart.baud == 1500000);
	CHECK(info->uart.level_triggered == 1);
}

TEST(rock_gic_has_two_its_and_is_not_coherent)
{
	CHECK(read_tree(ROCK, 0));
	CHECK(info->gic.dist_base == 0xfe600000);
	CHECK(info->gic.gicr_count == 1);
	CHECK(info->gic.gicr[0].base == 0xfe680000);
	CHECK(info->gic.gicr[0].size == 8 * 0x20000);
	CHECK(info->gic.its_count == 2);
	CHECK(info->gic.its[0].base == 0xfe640000 && info->gic.its[0].size == 0x20000);
	CHECK(info->gic.its[1].base == 0xfe660000);
	CHECK(info->gic.maintenance_intid == 25);
	CHECK(info->gic.coherent == 0);
}

TEST(rock_smmu_is_the_enabled_one)
{
	CHECK(read_tree(ROCK, 0));
	CHECK(info->smmu_count == 1);
	CHECK(info->smmu[0].base == 0xfc900000);
	CHECK(info->smmu[0].size == 0x200000);
	CHECK(info->smmu[0].event_intid == 401);
	CHECK(info->smmu[0].gerror_intid == 403);
	CHECK(info->smmu[0].pri_intid == 406);
	CHECK(info->smmu[0].sync_intid == 399);
	CHECK(info->smmu[0].coherent == 0);
}

TEST(rock_timer_and_psci)
{
	CHECK(read_tree(ROCK, 0));
	CHECK(info->timer.el1_phys_intid == 30);
	CHECK(info->timer.virt_intid == 27);
	CHECK(info->timer.el2_phys_intid == 26);
	CHECK(info->psci == BOOT_PSCI_SMC);
}

TEST(rock_boot_cpu_comes_first)
{
	CHECK(read_tree(ROCK, 0x400));
	CHECK(info->cpu_count == 8);
	CHECK(info->cpu[0].mpidr == 0x400);
	CHECK(info->cpu[1].mpidr == 0);
	CHECK(info->cpu[4].mpidr == 0x300);
	CHECK(info->cpu[5].mpidr == 0x500);
	CHECK(info->cpu[7].mpidr == 0x700);
	for (unsigned i = 0; i < 8; i++)
		CHECK(info->cpu[i].enabled == 1);
}

/* Segments 0, 1, 2, 4: the controller of segment 3 is disabled. */
static const struct boot_stream *
stream_of(uint32_t segment)
{
	for (unsigned i = 0; i < info->stream_count; i++)
		if (info->stream[i].segment == segment)
			return &info->stream[i];
	abort();
}

TEST(rock_pcie_requesters_map_to_themselves)
{
	static const struct { uint32_t segment, base; int its; } expected[] = {
		{ 0, 0x0000, 1 }, { 1, 0x1000, 1 }, { 2, 0x2000, 0 }, { 4, 0x4000, 0 },
	};

	CHECK(read_tree(ROCK, 0));
	CHECK(info->stream_count == 4);
	for (unsigned i = 0; i < 4; i++) {
		const struct boot_stream *s = stream_of(expected[i].segment);

		CHECK(s->rid_base == expected[i].base && s->count == 0x1000);
		CHECK(s->smmu == 0 && s->stream_base == expected[i].base);
		CHECK(s->its == expected[i].its && s->device_base == expected[i].base);
	}
	CHECK(info->ecam_count == 0);	/* DesignWare hosts have none */
}

static const struct boot_master *
master(const char *name)
{
	for (unsigned i = 0; i < info->master_count; i++)
		if (strcmp(info->master[i].name, name) == 0)
			return &info->master[i];
	return NULL;
}

TEST(rock_masters_without_smmu_are_named)
{
	static const struct { const char *name; uint64_t base; } expected[] = {
		{ "mmc@fe2c0000", 0xfe2c0000 }, { "mmc@fe2e0000", 0xfe2e0000 },
		{ "usb@fc000000", 0xfc000000 }, { "usb@fc400000", 0xfc400000 },
		{ "usb@fcd00000", 0xfcd00000 }, { "usb@fc800000", 0xfc800000 },
		{ "usb@fc880000", 0xfc880000 }, { "usb@fc840000", 0xfc840000 },
		{ "usb@fc8c0000", 0xfc8c0000 }, { "dma-controller@fea10000", 0xfea10000 },
		{ "gpu@fb000000", 0xfb000000 }, { "vop@fdd90000", 0xfdd90000 },
	};

	CHECK(read_tree(ROCK, 0));
	for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		CHECK(master(expected[i].name) != NULL);
		CHECK(master(expected[i].name)->base == expected[i].base);
	}
	CHECK(master("pcie@fe150000") == NULL);
	CHECK(master("ethernet@fe1c0000") == NULL);	/* disabled on this board */
	CHECK(master("serial@feb50000") == NULL);
}

static uint32_t
kind_at(uint64_t address)
{
	for (unsigned i = 0; i < info->memory_count; i++)
		if (address - info->memory[i].base < info->memory[i].size)
			return info->memory[i].kind;
	return 0;
}

TEST(rock_devices_fit_in_the_memory_map)
{
	CHECK(read_tree(ROCK, 0));
	CHECK(memory_paint(info, 0, 0xf0000000, BOOT_MEM_FREE, MEMORY_OVER_GAPS, &why));
	CHECK(memory_add_platform(info, p, &why));
	CHECK(info->memory_count < BOOT_MAX_MEMORY / 2);
	CHECK(kind_at(0xfeb50000) == BOOT_MEM_DEVICE);
	CHECK(kind_at(0xfe2c0000) == BOOT_MEM_DEVICE);
	CHECK(kind_at(0xfe378000) == BOOT_MEM_DEVICE);		/* rng */
	CHECK(kind_at(0x10f000) == BOOT_MEM_FIRMWARE);		/* shmem, no-map */
	CHECK(kind_at(0x110000) == BOOT_MEM_FREE);
	CHECK(kind_at(0xa40000000) == BOOT_MEM_DEVICE);		/* PCIe dbi */
}

/* What the board's firmware does: 25 buses to a controller. */
TEST(rock_with_firmware_bus_ranges)
{
	size_t size, room;
	uint8_t *blob = test_data(ROCK, &size), *copy;
	int node;
	fdt32_t map[4];

	room = size + 4096;
	copy = malloc(room);
	CHECK(fdt_open_into(blob, copy, (int)room) == 0);
	node = fdt_path_offset(copy, "/pcie@fe160000");
	CHECK(node >= 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i == 0 ? "iommu-map" : "msi-map";
		const fdt32_t *old = fdt_getprop(copy, node, name, NULL);

		map[0] = map[2] = cpu_to_fdt32(25 << 8);
		map[1] = old[1];
		map[3] = cpu_to_fdt32(25 << 8);
		CHECK(fdt_setprop(copy, node, name, map, sizeof(map)) == 0);
	}
	p = test_platform(0);
	info = p->info;
	CHECK(dt_read(copy, room, p, &why));
	CHECK(stream_of(1)->rid_base == 25 << 8 && stream_of(1)->count == 25 << 8);
	CHECK(stream_of(1)->stream_base == 25 << 8 && stream_of(1)->device_base == 25 << 8);
	free(copy);
	free(blob);
}

TEST(virt_is_read_whole)
{
	CHECK(read_tree(VIRT, 0));
	CHECK(info->uart.kind == BOOT_UART_PL011 && info->uart.base == 0x9000000);
	CHECK(info->uart.intid == 33 && info->uart.clock_hz == 24000000);
	CHECK(info->gic.dist_base == 0x8000000 && info->gic.gicr[0].base == 0x80a0000);
	CHECK(info->gic.gicr[0].size == 0xf60000);
	CHECK(info->gic.its_count == 1 && info->gic.its[0].base == 0x8080000);
	CHECK(info->gic.coherent == 1 && info->gic.maintenance_intid == 25);
	CHECK(info->smmu_count == 1 && info->smmu[0].base == 0x9050000);
	CHECK(info->smmu[0].event_intid == 106 && info->smmu[0].pri_intid == 107);
	CHECK(info->smmu[0].sync_intid == 108 && info->smmu[0].gerror_intid == 109);
	CHECK(info->smmu[0].coherent == 1);
	CHECK(info->ecam_count == 1 && info->ecam[0].base == 0x4010000000);
	CHECK(info->ecam[0].bus_first == 0 && info->ecam[0].bus_last == 255);
	CHECK(info->ecam[0].mem32.base == 0x10000000 && info->ecam[0].mem64.base == 0x8000000000);
	CHECK(info->ecam[0].coherent == 1);
	CHECK(info->stream_count == 1 && info->stream[0].count == 0x10000);
	CHECK(info->timer.el2_phys_intid == 26 && info->psci == BOOT_PSCI_SMC);
	CHECK(info->cpu_count == 4 && info->seed_bytes == 32);
	CHECK(info->master_count == 33);	/* 32 virtio_mmio, fw-cfg */
}

TEST(boot_cpu_must_be_listed)
{
	CHECK(!read_tree(VIRT, 0x80000));
	CHECK(strstr(why.text, "0x80000") != NULL);
}

static bool
read_changed(const char *path, const char *property, const void *value, int size)
{
	size_t blob_size;
	uint8_t *blob = test_data(VIRT, &blob_size);
	uint8_t *copy = malloc(blob_size + 4096);
	bool fine;
	int node;

	if (fdt_open_into(blob, copy, (int)blob_size + 4096) != 0)
		abort();
	node = fdt_path_offset(copy, path);
	if (node < 0 || (value == NULL ? fdt_delprop(copy, node, property) :
	    fdt_setprop(copy, node, property, value, size)) != 0)
		abort();
	p = test_platform(0);
	info = p->info;
	why.text[0] = '\0';
	fine = dt_read(copy, blob_size + 4096, p, &why);
	free(copy);
	free(blob);
	return fine;
}

TEST(what_is_missing_is_named)
{
	static const fdt32_t short_reg[2] = { 0, 0 };

	CHECK(!read_changed("/intc@8000000", "compatible", "x", 2));
	CHECK(strstr(why.text, "GICv3") != NULL);
	CHECK(!read_changed("/timer", "interrupts", NULL, 0));
	CHECK(strstr(why.text, "EL2 physical timer") != NULL);
	CHECK(!read_changed("/smmuv3@9050000", "reg", short_reg, sizeof(short_reg)));
	CHECK(strstr(why.text, "smmuv3@9050000") != NULL);
	CHECK(!read_changed("/psci", "method", "abc", 4));
	CHECK(strstr(why.text, "psci") != NULL);
	CHECK(!read_changed("/cpus/cpu@2", "reg", short_reg, 8));
	CHECK(strstr(why.text, "cpu@2") != NULL);
}

TEST(what_is_optional_may_be_missing)
{
	CHECK(read_changed("/chosen", "stdout-path", NULL, 0));
	CHECK(info->uart.kind == BOOT_UART_NONE);
	CHECK(read_changed("/smmuv3@9050000", "status", "disabled", 9));
	CHECK(info->smmu_count == 0 && info->stream[0].smmu == -1 && info->stream[0].its == 0);
	CHECK(master("pcie@10000000") != NULL);	/* no longer covered */
	CHECK(read_changed("/pcie@10000000", "dma-coherent", NULL, 0));
	CHECK(info->ecam[0].coherent == 0);
	CHECK(read_changed("/intc@8000000/its@8080000", "dma-noncoherent", "", 0));
	CHECK(info->gic.coherent == 0);
}

TEST(truncated_trees_are_refused)
{
	size_t size;
	uint8_t *blob = test_data(VIRT, &size);

	p = test_platform(0);
	for (size_t cut = 0; cut < size; cut += 61) {
		uint8_t *copy = malloc(cut == 0 ? 1 : cut);

		memcpy(copy, blob, cut);
		CHECK(!dt_read(copy, cut, p, &why));
		free(copy);
	}
	free(blob);
}

TEST(damaged_trees_do_no_harm)
{
	size_t size;
	uint8_t *blob = test_data(VIRT, &size), *copy = malloc(size);

	for (unsigned i = 0; i < 3000; i++) {
		memcpy(copy, blob, size);
		for (unsigned n = 0; n < 1 + i % 8; n++)
			copy[test_random() % size] = (uint8_t)test_random();
		p = test_platform(0);
		(void)dt_read(copy, size, p, &why);
	}
	free(copy);
	free(blob);
}
