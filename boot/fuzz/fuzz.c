/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing what the loader parses.  The first byte of the input chooses the
 * parser, the rest is its input; hashes and checksums are made right first,
 * since a fuzzer cannot guess them.
 */
#include <stdlib.h>
#include <string.h>

#include <tessera/bundle.h>

#include "../include/elf.h"
#include "../include/memory.h"
#include "../include/platform.h"
#include "../include/slots.h"

enum { INPUT_LIMIT = 1 << 18, IMAGE_LIMIT = 1 << 20 };

static struct platform platform;
static struct bootinfo info;
static struct complaint why;

/* What every accepted description must satisfy. */
static void
check_map(void)
{
	for (unsigned i = 0; i < info.memory_count; i++) {
		const struct boot_memory *m = &info.memory[i];

		if (m->size == 0 || ((m->base | m->size) & 4095) != 0 ||
		    (i > 0 && m[-1].base + m[-1].size > m->base))
			abort();
	}
}

static void
check_platform(void)
{
	if (info.cpu_count == 0 || info.cpu_count > BOOT_MAX_CPUS || info.cpu[0].mpidr != 0 ||
	    info.gic.its_count > BOOT_MAX_ITS || info.gic.gicr_count > BOOT_MAX_GICR ||
	    info.smmu_count > BOOT_MAX_SMMU || info.ecam_count > BOOT_MAX_ECAM ||
	    info.stream_count > BOOT_MAX_STREAMS || info.master_count > BOOT_MAX_MASTERS)
		abort();
	for (unsigned i = 0; i < info.stream_count; i++)
		if (info.stream[i].smmu >= (int)info.smmu_count ||
		    info.stream[i].its >= (int)info.gic.its_count || info.stream[i].count == 0)
			abort();
	for (unsigned i = 0; i < info.master_count; i++)
		if (memchr(info.master[i].name, 0, sizeof(info.master[i].name)) == NULL)
			abort();
	(void)memory_add_platform(&info, &platform, &why);
	check_map();
}

static void
reset(void)
{
	memset(&info, 0, sizeof(info));
	memset(&platform, 0, sizeof(platform));
	platform.info = &info;
}

static void
fuzz_dt(const uint8_t *data, size_t size)
{
	reset();
	if (dt_read(data, size, &platform, &why))
		check_platform();
}

/* ---- ACPI: physical memory is the input, from address 0x1000 --------------- */

enum { ACPI_BASE = 0x1000 };
struct input {
	uint8_t *data;
	size_t size;
};

static const void *
input_at(void *context, uint64_t phys, uint64_t size)
{
	const struct input *in = context;

	if (phys < ACPI_BASE || phys - ACPI_BASE > in->size ||
	    size > in->size - (phys - ACPI_BASE))
		return NULL;
	return in->data + (phys - ACPI_BASE);
}

static void
seal(uint8_t *table, uint64_t size, unsigned at)
{
	uint8_t sum = 0;

	table[at] = 0;
	for (uint64_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + table[i]);
	table[at] = (uint8_t)-sum;
}

static uint8_t *
seal_table(struct input *in, uint64_t phys, uint32_t *size)
{
	uint8_t *table = (uint8_t *)(uintptr_t)input_at(in, phys, 36);

	if (table == NULL)
		return NULL;
	memcpy(size, table + 4, 4);
	if (*size < 36 || input_at(in, phys, *size) == NULL)
		return NULL;
	seal(table, *size, 9);
	return table;
}

static void
seal_acpi(struct input *in)
{
	uint64_t phys;
	uint32_t size, ignored;
	const uint8_t *xsdt;

	if (in->size < 36)
		return;
	memcpy(in->data, "RSD PTR ", 8);
	in->data[15] = 2;
	seal(in->data, 36, 32);
	memcpy(&phys, in->data + 24, 8);
	xsdt = seal_table(in, phys, &size);
	if (xsdt == NULL)
		return;
	for (uint32_t at = 36; at + 8 <= size; at += 8) {
		uint64_t table;

		memcpy(&table, xsdt + at, 8);
		(void)seal_table(in, table, &ignored);
	}
	(void)seal_table(in, phys, &size);
}

static void
fuzz_acpi(uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const struct acpi_memory memory = { input_at, &in };

	reset();
	seal_acpi(&in);
	if (acpi_read(&memory, ACPI_BASE, &platform, &why))
		check_platform();
}

/* ---- the rest ------------------------------------------------------------ */

static void
fuzz_slot(const uint8_t *data, size_t size)
{
	struct slot_header h;
	struct boot_state record[2], state;
	unsigned spare, order[2];

	if (size < sizeof(h) + sizeof(record))
		return;
	memcpy(&h, data, sizeof(h));
	memcpy(record, data + sizeof(h), sizeof(record));
	slot_seal(&h);
	if (slot_check(&h, size, &why) &&
	    !slot_check_content(&h, data + h.kernel_offset, data + h.bundle_offset, &why))
		return;
	boot_state_seal(&record[0]);
	boot_state_seal(&record[1]);
	(void)boot_state_current(record, &state, &spare);
	if (spare > 1 || boot_state_order(&state, order) > 2)
		abort();
	(void)boot_state_count(&state, state.preferred);
}

static void
fuzz_bundle(const uint8_t *data, size_t size)
{
	const struct bundle_header *bundle = (const void *)data;
	uint8_t sum = 0;

	if (bundle_check(bundle, size) != NULL)
		return;
	for (unsigned i = 0; i < bundle->count; i++) {
		const struct bundle_entry *e = bundle_find(bundle, bundle->entry[i].name);

		if (e != &bundle->entry[i])
			abort();
		for (uint64_t at = 0; at < e->size; at += 512)
			sum ^= data[e->offset + at];
	}
	__asm__ volatile("" : : "r"(sum));
}

static void
fuzz_elf(const uint8_t *data, size_t size, enum elf_type type)
{
	struct elf_plan plan;
	struct boot_init init;
	uint8_t *memory;

	if (!elf_plan(data, size, type, &plan, &why))
		return;
	if (plan.high - plan.low <= IMAGE_LIMIT) {
		memory = malloc(plan.high - plan.low);
		(void)elf_place(&plan, data, memory, 0x40200000, &why);
		free(memory);
	}
	if (elf_packed_size(&plan) <= IMAGE_LIMIT) {
		memory = malloc(elf_packed_size(&plan));
		(void)elf_pack(&plan, data, memory, 0x40200000, &init, &why);
		free(memory);
	}
}

static void
fuzz_gpt(const uint8_t *data, size_t size)
{
	static const uint8_t type[16] = SLOT_PARTITION_TYPE(1);
	struct gpt gpt;
	uint64_t first, blocks;

	if (size < 512 || !gpt_header(data, 1, 1 << 20, &gpt, &why) ||
	    (uint64_t)gpt.entry_count * gpt.entry_size > size - 512)
		return;
	(void)gpt_entries(&gpt, data + 512, &why);
	if (gpt_find(&gpt, data + 512, type, 0, &first, &blocks) &&
	    (first + blocks > 1 << 20 || blocks == 0))
		abort();
}

static void
fuzz_memory(const uint8_t *data, size_t size)
{
	reset();
	(void)memory_from_efi(&info, data, size, 48, &why);
	check_map();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;	/* aligned, writable, and of the very size for ASan */

	if (size < 2 || size > INPUT_LIMIT)
		return 0;
	copy = malloc(size - 1);
	memcpy(copy, data + 1, size - 1);
	switch (data[0] & 7) {
	case 0: fuzz_dt(copy, size - 1); break;
	case 1: fuzz_acpi(copy, size - 1); break;
	case 2: fuzz_slot(copy, size - 1); break;
	case 3: fuzz_bundle(copy, size - 1); break;
	case 4: fuzz_elf(copy, size - 1, ELF_POSITION_INDEPENDENT); break;
	case 5: fuzz_elf(copy, size - 1, ELF_EXECUTABLE); break;
	case 6: fuzz_gpt(copy, size - 1); break;
	default: fuzz_memory(copy, size - 1); break;
	}
	free(copy);
	return 0;
}
