/* SPDX-License-Identifier: MIT */
/*
 * The ACPI reader, on QEMU's tables (dumped with two PCIe buses), on a set
 * shaped like the Rock 5B+'s (no ITS, no IORT, several segments), and on
 * damaged ones.
 */
#include <stdlib.h>
#include <string.h>

#include "test.h"

static struct platform *p;
static struct bootinfo *info;
static struct complaint why;

/* A physical memory that holds only tables: {address, bytes}. */
enum { TABLES = 16, TABLE_ROOM = 1024 };
struct store {
	unsigned count;
	struct { uint64_t phys; uint32_t size; uint8_t *data; } table[TABLES];
};

static const void *
store_at(void *context, uint64_t phys, uint64_t size)
{
	const struct store *s = context;

	for (unsigned i = 0; i < s->count; i++)
		if (phys >= s->table[i].phys && phys - s->table[i].phys <= s->table[i].size &&
		    size <= s->table[i].size - (phys - s->table[i].phys))
			return s->table[i].data + (phys - s->table[i].phys);
	return NULL;
}

static uint8_t *
store_add(struct store *s, uint64_t phys, uint32_t size, const void *data)
{
	uint8_t *copy = calloc(1, size);

	if (data != NULL)
		memcpy(copy, data, size);
	s->table[s->count].phys = phys;
	s->table[s->count].size = size;
	s->table[s->count++].data = copy;
	return copy;
}

static void
store_free(struct store *s)
{
	while (s->count > 0)
		free(s->table[--s->count].data);
}

/* Test data: for each table u64 address, u32 size, u32 0, bytes; the root first. */
static void
store_load(struct store *s, const char *name)
{
	size_t size, at = 0;
	uint8_t *file = test_data(name, &size);

	s->count = 0;
	while (at + 16 <= size && s->count < TABLES) {
		uint64_t phys;
		uint32_t length;

		memcpy(&phys, file + at, 8);
		memcpy(&length, file + at + 8, 4);
		store_add(s, phys, length, file + at + 16);
		at += 16 + length;
	}
	free(file);
}

static void
seal(uint8_t *table, uint32_t size, uint32_t at)
{
	uint8_t sum = 0;

	table[at] = 0;
	for (uint32_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + table[i]);
	table[at] = (uint8_t)-sum;
}

static bool
read_store(struct store *s, uint64_t boot_mpidr)
{
	const struct acpi_memory memory = { store_at, s };

	p = test_platform(boot_mpidr);
	info = p->info;
	why.text[0] = '\0';
	return acpi_read(&memory, s->table[0].phys, p, &why);
}

static uint8_t *
find(struct store *s, const char *name, uint32_t *size)
{
	for (unsigned i = 0; i < s->count; i++)
		if (memcmp(s->table[i].data, name, 4) == 0) {
			*size = s->table[i].size;
			return s->table[i].data;
		}
	abort();
}

TEST(qemu_tables_are_read_whole)
{
	struct store s;

	store_load(&s, "qemu-virt.acpi");
	CHECK(read_store(&s, 0));
	CHECK(info->source == BOOT_FROM_ACPI);
	CHECK(info->gic.dist_base == 0x8000000 && info->gic.dist_size == 0x10000);
	CHECK(info->gic.gicr_count == 1 && info->gic.gicr[0].base == 0x80a0000);
	CHECK(info->gic.gicr[0].size == 0xf60000);
	CHECK(info->gic.its_count == 1 && info->gic.its[0].base == 0x8080000);
	CHECK(info->gic.maintenance_intid == 25 && info->gic.coherent == 1);
	CHECK(info->timer.el2_phys_intid == 26 && info->timer.virt_intid == 27);
	CHECK(info->timer.el1_phys_intid == 30);
	CHECK(info->psci == BOOT_PSCI_SMC);
	CHECK(info->cpu_count == 4 && info->cpu[3].mpidr == 3 && info->cpu[3].enabled == 1);
	CHECK(info->uart.kind == BOOT_UART_PL011 && info->uart.base == 0x9000000);
	CHECK(info->uart.intid == 33);
	CHECK(info->ecam_count == 1 && info->ecam[0].base == 0x4010000000);
	CHECK(info->ecam[0].bus_last == 255 && info->ecam[0].coherent == 1);
	CHECK(info->smmu_count == 1 && info->smmu[0].base == 0x9050000);
	CHECK(info->smmu[0].event_intid == 106 && info->smmu[0].pri_intid == 107);
	CHECK(info->smmu[0].sync_intid == 108 && info->smmu[0].gerror_intid == 109);
	CHECK(info->smmu[0].coherent == 1);
	store_free(&s);
}

/* Two buses: 0x200 ids (one more by QEMU 7.2's count), the rest past the SMMU. */
TEST(qemu_requesters_go_through_the_smmu)
{
	struct store s;
	uint32_t end;

	store_load(&s, "qemu-virt.acpi");
	CHECK(read_store(&s, 0));
	CHECK(info->stream_count == 2);
	CHECK(info->stream[0].rid_base == 0 && info->stream[0].smmu == 0);
	CHECK(info->stream[0].count >= 0x200 && info->stream[0].count <= 0x201);
	CHECK(info->stream[0].stream_base == 0 && info->stream[0].its == 0);
	CHECK(info->stream[0].device_base == 0);
	end = info->stream[0].count;
	CHECK(info->stream[1].rid_base == end && info->stream[1].smmu == -1);
	CHECK(info->stream[1].its == 0 && info->stream[1].device_base == end);
	CHECK(info->stream[1].rid_base + info->stream[1].count == 0x10000);
	store_free(&s);
}

/* ---- tables like the board's --------------------------------------------- */

static void
put(uint8_t *table, uint32_t at, uint64_t value, unsigned bytes)
{
	memcpy(table + at, &value, bytes);
}

static uint8_t *
table_new(struct store *s, const char *name, uint32_t size)
{
	uint64_t phys = 0x10000 + (uint64_t)s->count * 0x1000;
	uint8_t *t = store_add(s, phys, size, NULL);

	memcpy(t, name, 4);
	put(t, 4, size, 4);
	t[8] = 4;
	return t;
}

static void
board_madt(struct store *s)
{
	uint8_t *t = table_new(s, "APIC", 44 + 8 * 80 + 24 + 16);
	uint32_t at = 44;

	for (unsigned i = 0; i < 8; i++, at += 80) {
		t[at] = 11;
		t[at + 1] = 80;
		put(t, at + 12, 1, 4);
		put(t, at + 56, 25, 4);
		put(t, at + 68, (uint64_t)i << 8, 8);
	}
	t[at] = 12;
	t[at + 1] = 24;
	put(t, at + 8, 0xfe600000, 8);
	t[at + 20] = 3;
	at += 24;
	t[at] = 14;
	t[at + 1] = 16;
	put(t, at + 4, 0xfe680000, 8);
	put(t, at + 12, 0x100000, 4);
}

static void
board_small_tables(struct store *s)
{
	uint8_t *t = table_new(s, "GTDT", 96);

	put(t, 56, 30, 4);
	put(t, 64, 27, 4);
	put(t, 72, 26, 4);
	t = table_new(s, "FACP", 276);
	put(t, 129, 1, 2);
	t = table_new(s, "SPCR", 88);
	t[36] = 0x12;			/* 16550 as the address structure says */
	t[40] = 0;
	t[41] = 32;
	t[43] = 3;
	put(t, 44, 0xfeb50000, 8);
	t[52] = 8;
	put(t, 54, 365, 4);
	put(t, 76, 24000000, 4);
	put(t, 80, 1500000, 4);
	t = table_new(s, "MCFG", 44 + 3 * 16);
	for (unsigned i = 0; i < 3; i++) {
		put(t, 44 + i * 16, 0x900000000 + ((uint64_t)i << 30), 8);
		put(t, 52 + i * 16, i, 2);
		t[54 + i * 16] = (uint8_t)(25 * i);
		t[55 + i * 16] = (uint8_t)(25 * i + 24);
	}
}

/* The XSDT over all that came before, and the root in table[0]. */
static void
board_root(struct store *s)
{
	unsigned count = s->count - 1;
	uint8_t *xsdt = table_new(s, "XSDT", 36 + 8 * count);
	uint8_t *root = s->table[0].data;

	for (unsigned i = 0; i < count; i++)
		put(xsdt, 36 + 8 * i, s->table[1 + i].phys, 8);
	memcpy(root, "RSD PTR ", 8);
	root[15] = 2;
	put(root, 20, 36, 4);
	put(root, 24, s->table[s->count - 1].phys, 8);
	seal(root, 20, 8);
	seal(root, 36, 32);
	for (unsigned i = 1; i < s->count; i++)
		seal(s->table[i].data, s->table[i].size, 9);
}

static void
board(struct store *s)
{
	s->count = 0;
	store_add(s, 0x8000, 36, NULL);
	board_madt(s);
	board_small_tables(s);
}

TEST(board_tables_without_its_and_iort)
{
	struct store s;

	board(&s);
	board_root(&s);
	CHECK(read_store(&s, 0x400));
	CHECK(info->cpu_count == 8 && info->cpu[0].mpidr == 0x400 && info->cpu[7].mpidr == 0x700);
	CHECK(info->gic.its_count == 0 && info->smmu_count == 0 && info->stream_count == 0);
	CHECK(info->gic.gicr_count == 1 && info->gic.gicr[0].size == 0x100000);
	CHECK(info->psci == BOOT_PSCI_SMC);
	CHECK(info->uart.kind == BOOT_UART_16550 && info->uart.base == 0xfeb50000);
	CHECK(info->uart.reg_shift == 2 && info->uart.reg_width == 4 && info->uart.intid == 365);
	CHECK(info->uart.clock_hz == 24000000 && info->uart.baud == 1500000);
	CHECK(info->ecam_count == 3 && info->ecam[2].segment == 2);
	CHECK(info->ecam[1].bus_first == 25 && info->ecam[1].bus_last == 49);
	CHECK(info->ecam[1].base == 0x940000000 + (25 << 20));
	store_free(&s);
}

/* IORT nodes that point at each other must not hold the reader. */
TEST(iort_cycles_end)
{
	struct store s;
	uint8_t *t;

	board(&s);
	t = table_new(&s, "IORT", 48 + 88 + 88);
	put(t, 36, 2, 4);
	put(t, 40, 48, 4);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t at = 48 + i * 88;

		t[at] = i == 0 ? 2 : 4;		/* root complex, SMMUv3 */
		put(t, at + 1, 88, 2);
		put(t, at + 8, 1, 4);
		put(t, at + 12, 68, 4);
		put(t, at + 68 + 4, 0xffff, 4);
		put(t, at + 68 + 12, 136, 4);	/* both lead to the SMMU */
	}
	put(t, 136 + 16, 0xfc900000, 8);
	board_root(&s);
	CHECK(read_store(&s, 0));
	CHECK(info->smmu_count == 1);
	CHECK(info->stream_count == 1 && info->stream[0].smmu == 0 && info->stream[0].its == -1);
	store_free(&s);
}

TEST(redistributors_of_single_cpus_are_joined)
{
	struct store s;
	uint8_t *t;

	board(&s);
	t = s.table[1].data;
	for (unsigned i = 0; i < 8; i++)
		put(t, 44 + i * 80 + 60, 0xfe680000 + (uint64_t)i * 0x20000, 8);
	t[44 + 8 * 80 + 24] = 0x7f;	/* no GICR structure */
	board_root(&s);
	CHECK(read_store(&s, 0));
	CHECK(info->gic.gicr_count == 1 && info->gic.gicr[0].base == 0xfe680000);
	CHECK(info->gic.gicr[0].size == 8 * 0x20000);
	store_free(&s);
}

/* ---- windows of a PCIe host, as UEFI tells them ---------------------------- */

static void
descriptor(uint8_t *d, uint8_t type, uint64_t granularity, uint64_t base, uint64_t size,
    uint64_t translation)
{
	memset(d, 0, 46);
	d[0] = 0x8a;
	d[1] = 0x2b;
	d[3] = type;
	put(d, 6, granularity, 8);
	put(d, 14, base, 8);
	put(d, 22, base + size - 1, 8);
	put(d, 30, translation, 8);
	put(d, 38, size, 8);
}

TEST(bridge_windows_grow_to_their_aperture)
{
	static const struct bridge_space spaces[] = {
		{ 0x9000000, 0x1000, true }, { 0x10000000, 0x200000, true },
		{ 0x10200000, 0x2edf0000, true }, { 0x40000000, 0x40000000, false },
		{ 0x938000000, 0x8000000, true },
	};
	struct boot_ecam ecam = { .segment = 0 };
	uint8_t list[4 * 46];

	descriptor(list, 1, 32, 0x1000, 0x1000, 0);
	descriptor(list + 46, 0, 32, 0x10000000, 0x200000, 0);
	descriptor(list + 92, 0, 64, 0x939000000, 0x100000, 0xf0000000 - 0x938000000);
	list[138] = 0x79;
	bridge_windows(&ecam, list, sizeof(list));
	CHECK(ecam.mem32.base == 0x10000000 && ecam.mem32.size == 0x200000);
	CHECK(ecam.mem64.base == 0x939000000 && ecam.mem64_bus == 0xf1000000);
	bridge_extend(&ecam, spaces, 5);
	CHECK(ecam.mem32.base == 0x10000000 && ecam.mem32.size == 0x2eff0000);
	CHECK(ecam.mem32_bus == 0x10000000);
	CHECK(ecam.mem64.base == 0x938000000 && ecam.mem64.size == 0x8000000);
	CHECK(ecam.mem64_bus == 0xf0000000);
}

/* ---- damage -------------------------------------------------------------- */

TEST(wrong_checksums_name_their_table)
{
	static const char *const names[] = { "APIC", "GTDT", "FACP", "SPCR", "MCFG", "IORT" };
	struct store s;
	uint32_t size;

	for (unsigned i = 0; i < 6; i++) {
		store_load(&s, "qemu-virt.acpi");
		find(&s, names[i], &size)[20] ^= 1;
		CHECK(!read_store(&s, 0));
		CHECK(strstr(why.text, names[i]) != NULL && strstr(why.text, "checksum") != NULL);
		store_free(&s);
	}
}

TEST(missing_tables_are_named)
{
	static const char *const names[] = { "APIC", "GTDT", "FACP" };
	struct store s;
	uint32_t size;

	for (unsigned i = 0; i < 3; i++) {
		store_load(&s, "qemu-virt.acpi");
		find(&s, names[i], &size)[0] = '_';
		CHECK(!read_store(&s, 0));
		CHECK(strstr(why.text, names[i]) != NULL);
		store_free(&s);
	}
}

TEST(optional_tables_may_be_missing)
{
	static const char *const names[] = { "SPCR", "MCFG", "IORT" };
	struct store s;
	uint32_t size;

	for (unsigned i = 0; i < 3; i++) {
		store_load(&s, "qemu-virt.acpi");
		find(&s, names[i], &size)[0] = '_';
		CHECK(read_store(&s, 0));
		store_free(&s);
	}
}

TEST(table_lengths_are_not_believed)
{
	struct store s;
	uint8_t *t;
	uint32_t size;

	for (uint32_t wrong = 0; wrong < 44; wrong += 11) {
		store_load(&s, "qemu-virt.acpi");
		t = find(&s, "APIC", &size);
		put(t, 4, wrong, 4);
		seal(t, wrong > 9 ? wrong : 10, 9);
		CHECK(!read_store(&s, 0));
		store_free(&s);
	}
	store_load(&s, "qemu-virt.acpi");
	t = find(&s, "APIC", &size);
	t[45] = 0;		/* a structure of no length */
	seal(t, size, 9);
	CHECK(!read_store(&s, 0));
	CHECK(strstr(why.text, "APIC") != NULL);
	store_free(&s);
}

TEST(damaged_tables_do_no_harm)
{
	struct store s;

	for (unsigned i = 0; i < 5000; i++) {
		unsigned n;

		store_load(&s, "qemu-virt.acpi");
		n = 1 + test_random() % (s.count - 1);
		for (unsigned k = 0; k < 1 + i % 5; k++)
			s.table[n].data[test_random() % s.table[n].size] = (uint8_t)test_random();
		seal(s.table[n].data, s.table[n].size, 9);
		(void)read_store(&s, 0);
		store_free(&s);
	}
}
