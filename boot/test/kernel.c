/* SPDX-License-Identifier: MIT */
/* The test kernel's words: struct bootinfo, line by line, on the console UART. */
#include <tessera/bootinfo.h>
#include <tessera/bundle.h>

#include "../include/text.h"

static const struct bootinfo *info;
static uint8_t bss_page[8192] = { 0 };
static const char *const relocated[2] = { "relocated", "not" };	/* needs a RELATIVE each */

/* QEMU's virt machine has a PL011; its transmitter is always ready there. */
static void
put(char c)
{
	*(volatile uint32_t *)info->uart.base = (uint8_t)c;
}

static void __attribute__((format(printf, 1, 2)))
say(const char *format, ...)
{
	char text[300];
	va_list arguments;

	va_start(arguments, format);
	text_format_list(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\n')
			put('\r');
		put(*p);
	}
}

static void
say_machine(void)
{
	say("gic 0x%llx gicr %u 0x%llx+0x%llx its %u 0x%llx maintenance %u coherent %u\n",
	    U64(info->gic.dist_base), info->gic.gicr_count, U64(info->gic.gicr[0].base),
	    U64(info->gic.gicr[0].size), info->gic.its_count, U64(info->gic.its[0].base),
	    info->gic.maintenance_intid, info->gic.coherent);
	say("timer el2 %u virt %u el1 %u hz %u\n", info->timer.el2_phys_intid,
	    info->timer.virt_intid, info->timer.el1_phys_intid, info->timer.frequency_hz);
	for (unsigned i = 0; i < info->smmu_count; i++)
		say("smmu 0x%llx event %u gerror %u pri %u sync %u coherent %u\n",
		    U64(info->smmu[i].base), info->smmu[i].event_intid,
		    info->smmu[i].gerror_intid, info->smmu[i].pri_intid,
		    info->smmu[i].sync_intid, info->smmu[i].coherent);
	for (unsigned i = 0; i < info->stream_count; i++)
		say("stream segment %u rid 0x%x+0x%x smmu %d 0x%x its %d 0x%x\n",
		    info->stream[i].segment, info->stream[i].rid_base, info->stream[i].count,
		    info->stream[i].smmu, info->stream[i].stream_base, info->stream[i].its,
		    info->stream[i].device_base);
	for (unsigned i = 0; i < info->ecam_count; i++)
		say("ecam 0x%llx segment %u bus %u-%u coherent %u mem32 0x%llx+0x%llx "
		    "mem64 0x%llx+0x%llx\n",
		    U64(info->ecam[i].base), info->ecam[i].segment, info->ecam[i].bus_first,
		    info->ecam[i].bus_last, info->ecam[i].coherent,
		    U64(info->ecam[i].mem32.base), U64(info->ecam[i].mem32.size),
		    U64(info->ecam[i].mem64.base), U64(info->ecam[i].mem64.size));
	say("uart 0x%llx kind %u intid %u clock %u baud %u\n", U64(info->uart.base),
	    info->uart.kind, info->uart.intid, info->uart.clock_hz, info->uart.baud);
	say("framebuffer 0x%llx %ux%u\n", U64(info->framebuffer.base), info->framebuffer.width,
	    info->framebuffer.height);
	say("masters %u\n", info->master_count);
}

static void
say_memory(void)
{
	static const char *const kinds[] = { "?", "free", "loaded", "firmware", "device" };

	for (unsigned i = 0; i < info->memory_count; i++)
		say("memory 0x%llx-0x%llx %s\n", U64(info->memory[i].base),
		    U64(info->memory[i].base + info->memory[i].size),
		    kinds[info->memory[i].kind % 5]);
	for (unsigned i = 0; i < info->cpu_count; i++)
		say("cpu 0x%llx enabled %u\n", U64(info->cpu[i].mpidr), info->cpu[i].enabled);
}

static unsigned
bss_sum(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < sizeof(bss_page); i++)
		sum += ((volatile uint8_t *)bss_page)[i];
	return sum;
}

/* The NVMe controller at 00:01.0 (as the boot test places it): stopped? */
static void
say_devices(void)
{
	uint64_t function, bar;

	if (info->ecam_count == 0)
		return;
	function = info->ecam[0].base + (1 << 15);
	if (*(volatile uint32_t *)(function + 8) >> 8 != 0x010802)
		return;
	bar = (*(volatile uint32_t *)(function + 0x10) & ~15u) |
	    (uint64_t)*(volatile uint32_t *)(function + 0x14) << 32;
	say("nvme command 0x%x cc 0x%x csts 0x%x\n",
	    *(volatile uint32_t *)(function + 4) & 0xffff, *(volatile uint32_t *)(bar + 0x14),
	    *(volatile uint32_t *)(bar + 0x1c));
}

void kernel_main(const struct bootinfo *given, uint64_t el, uint64_t sctlr, uint64_t daif);

void
kernel_main(const struct bootinfo *given, uint64_t el, uint64_t sctlr, uint64_t daif)
{
	const struct bundle_header *bundle;
	const char *wrong;

	info = given;
	say("kernel: EL%u mmu %u dcache %u daif 0x%x bootinfo %s %s bss %u\n",
	    (unsigned)(el >> 2 & 3), (unsigned)(sctlr & 1), (unsigned)(sctlr >> 2 & 1),
	    (unsigned)daif,
	    info->magic == BOOTINFO_MAGIC && info->version == BOOTINFO_VERSION &&
	    info->size == sizeof(*info) ? "good" : "BAD", relocated[bss_sum()], bss_sum());
	say("source %s psci %u slot %u trial %u cmdline \"%s\"\n",
	    info->source == BOOT_FROM_DT ? "device tree" : "ACPI", info->psci, info->slot,
	    info->trial, info->cmdline);
	bundle = (const struct bundle_header *)info->bundle.base;
	wrong = bundle_check(bundle, info->bundle.size);
	say("bundle 0x%llx+0x%llx %s, kernel 0x%llx+0x%llx\n", U64(info->bundle.base),
	    U64(info->bundle.size), wrong != 0 ? wrong : "good", U64(info->kernel.base),
	    U64(info->kernel.size));
	say("init entry 0x%llx segments %u, first 0x%llx at 0x%llx+0x%llx flags %u\n",
	    U64(info->init.entry), info->init.segment_count, U64(info->init.segment[0].vaddr),
	    U64(info->init.segment[0].phys), U64(info->init.segment[0].size),
	    info->init.segment[0].flags);
	say("time %llu s, seed %u bytes, loader %llu ticks\n",
	    U64(info->wall_time_ns / 1000000000), info->seed_bytes,
	    U64(info->exit_ticks - info->entry_ticks));
	say_machine();
	say_memory();
	say_devices();
	say("kernel: done\n");
}
